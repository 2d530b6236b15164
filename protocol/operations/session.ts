import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { defaultLimits } from '../limits.ts';
import { plainText } from '../names.ts';
import { instant, page, pageInput } from './shared.ts';

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

interface Target {
  readonly tokenId?: string | undefined;
  readonly subject?: string | undefined;
}

const oneOf = <Input extends z.ZodObject>(input: Input): Input =>
  input.refine((given) => ((given as Target).tokenId === undefined) !== ((given as Target).subject === undefined), {
    message: 'either tokenId or subject must be given',
    path: ['tokenId'],
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
    input: oneOf(
      z.object({
        tokenId: tokenId.optional(),
        subject: subject.optional(),
        reason: plainText(defaultLimits.reasonCharsMax).default('').describe('Told to whoever used the token'),
        issuedBefore: instant.optional().describe('With `subject`: until when its tokens were issued; absent: now'),
        expiresAt: instant.optional().describe('When the last of the tokens ends; absent: they may never end'),
      }),
    ).refine((input) => input.issuedBefore === undefined || input.subject !== undefined, {
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
  revocations: operation({
    kind: 'query',
    summary: 'List the revocations that count, newest first',
    input: z.object({ tokenId: tokenId.optional(), subject: subject.optional(), ...pageInput }),
    output: page(revocation),
    errors: [],
    permission: { action: 'server-admin' },
    http: { method: 'GET', path: '/api/sessions/revocations' },
    example: { input: {} },
  }),
  lift: operation({
    kind: 'command',
    summary: 'Take a revocation back: its tokens are accepted again as long as they last',
    input: oneOf(z.object({ tokenId: tokenId.optional(), subject: subject.optional() })),
    output: z.object({ lifted: z.boolean().describe('Whether there was one') }),
    errors: [],
    permission: { action: 'server-admin' },
    stepUp: true,
    http: { method: 'DELETE', path: '/api/sessions/revocations' },
    example: { input: { subject: 'mallory' } },
  }),
  // No command: what a command answers is kept for who repeats it, and a ticket must not be kept.
  ticket: operation({
    kind: 'query',
    summary: 'Get a one-time ticket that stands for the token of the caller where a token would be seen, as in a URL',
    input: z.object({}),
    output: z.object({ ticket: z.string(), expiresAt: instant }),
    errors: [],
    permission: { action: 'authenticated' },
    audit: 'access',
    http: { method: 'POST', path: '/api/sessions/tickets', status: 201 },
    example: { input: {} },
  }),
};
