import type { Role } from '@showtell/shared/security/role.js';
import type { Command } from 'commander';

/** Adds `--tls` to a command that plays a role, which the process then does before anything else. */
export function tlsOption(command: Command, role: Role): Command {
  return command
    .option('--tls <dir>', 'certificates and keys of "showtell certs"; none: SHOWTELL_TLS, else nothing is secured')
    .hook('preAction', async (_, action) => {
      const { useTls } = await import('@showtell/shared/security/tls-folder.js');
      useTls(role, action.opts<{ tls?: string }>().tls);
    });
}
