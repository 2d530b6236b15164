import { operationsByName } from '../../protocol/operations/index.ts';

const WHO: Readonly<Record<string, string>> = {
  public: 'everybody',
  authenticated: 'everybody with a token',
  read: 'read on the dataset',
  write: 'write on the dataset',
  admin: 'admin of the dataset',
  'server-admin': 'server admins',
};

/** Who may call what, as the table of SPEC.md shows it: a row for each kind of permission. */
export function permissionRows(): string[] {
  return Object.entries(WHO).flatMap(([action, who]) => {
    const names = [...operationsByName].filter(([, { permission }]) => permission.action === action).map(([name]) => `\`${name}\``);
    return names.length === 0 ? [] : [`| ${who} | ${names.join(' ')} |`];
  });
}
