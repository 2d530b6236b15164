import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { defaultLimits } from '../limits.ts';
import { record } from '../record.ts';
import { instant } from './shared.ts';

export const ALERTS = ['high_memory_usage', 'slow_version_creation', 'permission_denial_spike'] as const;
export type AlertName = (typeof ALERTS)[number];

const alert = {
  name: z.enum(ALERTS),
  action: z.enum(['evict_idle_tables', 'investigate_file_size', 'check_for_attack']).describe('What the server does about it while it fires'),
  value: z.number(),
  threshold: z.number().describe('It fires above; 0: it is off'),
  unit: z.string(),
};

const detail = record(z.string(), z.unknown()).describe('What is behind the value, and what was done');

const alertState = z.object({
  ...alert,
  state: z.enum(['off', 'ok', 'firing']),
  since: instant.nullable().describe('Since when it fires; null: it does not'),
  fired: z.int().describe('How often it began since the server started'),
  detail,
});

const alertOccurrence = z.object({ ...alert, state: z.enum(['firing', 'resolved']), at: instant, detail });

const alertDelivery = z.object({
  isConfigured: z.boolean(),
  queued: z.int(),
  delivered: z.int(),
  dropped: z.int().describe('Given up, after too many attempts or because too many waited'),
  failedAttempts: z.int(),
  lastError: z.string().nullable(),
});

export type AlertState = z.output<typeof alertState>;
export type AlertOccurrence = z.output<typeof alertOccurrence>;
export type AlertDelivery = z.output<typeof alertDelivery>;

const maintenance = z.object({
  state: z.enum(['serving', 'draining', 'maintenance']).describe('`draining`: work that is under way may still finish'),
  since: instant.nullable().describe('Since when it is not serving'),
  reason: z.string().nullable(),
  savedTables: z.int().describe('Tables that were open and are loaded again when the server serves'),
  preloading: z.boolean().describe('Whether saved tables are being loaded again'),
});

export type MaintenanceStatus = z.output<typeof maintenance>;

const admins = { action: 'server-admin' } as const;

export const adminOperations = {
  alerts: operation({
    kind: 'query',
    summary: 'How the alerts of the server stand, and which began and ended lately',
    input: z.object({}),
    output: z.object({
      items: z.array(alertState),
      recent: z.array(alertOccurrence).describe('Newest first'),
      webhook: alertDelivery,
    }),
    errors: [],
    permission: admins,
    http: { method: 'GET', path: '/api/admin/alerts' },
    example: { input: {} },
  }),
  'maintenance.status': operation({
    kind: 'query',
    summary: 'Whether the server serves, drains or is in maintenance',
    input: z.object({}),
    output: maintenance,
    errors: [],
    permission: admins,
    http: { method: 'GET', path: '/api/admin/maintenance' },
    example: { input: {} },
  }),
  'maintenance.enter': operation({
    kind: 'command',
    summary: 'Take no new work but that of server admins, let what is under way finish, and unload the tables',
    input: z.object({
      reason: z.string().min(1).max(defaultLimits.reasonCharsMax).default('maintenance').describe('Told to everybody who is connected'),
      wait: z.boolean().default(true).describe('Whether the answer comes when everything has finished, or at once'),
    }),
    output: maintenance,
    duration: 'long',
    errors: [],
    permission: admins,
    audit: 'access',
    http: { method: 'POST', path: '/api/admin/maintenance/enter' },
    example: { input: { reason: 'A new disk', wait: false } },
  }),
  'maintenance.leave': operation({
    kind: 'command',
    summary: 'Take work again, and load the tables that were open',
    input: z.object({}),
    output: maintenance,
    errors: [],
    permission: admins,
    audit: 'access',
    http: { method: 'POST', path: '/api/admin/maintenance/leave' },
    example: { input: {} },
  }),
};
