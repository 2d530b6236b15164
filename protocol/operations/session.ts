import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { defaultLimits } from '../limits.ts';
import { plainText } from '../names.ts';
import { instant } from './shared.ts';

const tokenId = z.string().min(1).max(defaultLimits.tokenIdCharsMax).describe('`jti` of a token');
const subject = z.string().min(1).max(defaultLimits.subjectCharsMax).describe('`sub` of tokens');

const revocation = z.object({
  tokenId: tokenId.nullable(),
  subject: subject.nullable(),
  issuedBefore: instant.nullable().describe('Tokens of the subject that were issued until then are refused; null for a token'),
  expiresAt: instant.nullable().describe('When the revocation is forgotten, because the tokens have ended; null: never'),
  reason: z.string(),
  revokedBy: z.string(),
  revokedAt: instant,
});

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
  revoke: operation({
    kind: 'command',
    summary: 'Refuse a token, or all tokens of a subject that were issued so far, and end what goes on with them',
    input: z
      .object({
        tokenId: tokenId.optional(),
        subject: subject.optional(),
        reason: plainText(defaultLimits.reasonCharsMax).default('').describe('Told to whoever used the token'),
        issuedBefore: instant.optional().describe('With `subject`: until when its tokens were issued; absent: now'),
        expiresAt: instant.optional().describe('When the last of the tokens ends; absent: they may never end'),
      })
      .refine((input) => (input.tokenId === undefined) !== (input.subject === undefined), {
        message: 'either tokenId or subject must be given',
        path: ['tokenId'],
      })
      .refine((input) => input.issuedBefore === undefined || input.subject !== undefined, {
        message: 'goes with subject only',
        path: ['issuedBefore'],
      }),
    output: revocation,
    errors: ['conflict'],
    permission: { action: 'server-admin' },
    stepUp: true,
    http: { method: 'POST', path: '/api/sessions/revocations', status: 201 },
    example: { input: { tokenId: '3c5a2f5e-9d0b-4a54-8f6e-0f5c0f1d2b3a', reason: 'The laptop was stolen' } },
  }),
  // No command: what a command answers is kept for who repeats it, and a ticket must not be kept.
  ticket: operation({
    kind: 'query',
    summary: 'Get a one-time ticket that stands for the token of the caller where a token would be seen, as in a URL',
    input: z.object({}),
    output: z.object({ ticket: z.string(), expiresAt: instant }),
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'POST', path: '/api/sessions/tickets', status: 201 },
    example: { input: {} },
  }),
};
