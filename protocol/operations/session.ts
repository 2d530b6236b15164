import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { instant } from './shared.ts';

export const sessionOperations = {
  whoami: operation({
    kind: 'query',
    summary: 'Who the server takes the caller for',
    input: z.object({}),
    output: z.object({
      subject: z.string(),
      groups: z.array(z.string()),
      serverAdmin: z.boolean(),
      expiresAt: instant.nullable().describe('When the token ends; null: never'),
    }),
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'GET', path: '/api/session' },
    example: { input: {} },
  }),
};
