import { exitCodes, UsageError, type Command } from '../command.js';
import { commands } from '../commands.js';
import { definitionOf } from '../completion/definitions.js';
import { completionScript, shells } from '../completion/scripts.js';
import { parseOptions } from '../options.js';
import { quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus completion bash|zsh|fish

Prints a script with which a shell completes commands, actions and options. It is made from the help
of the commands, so print it anew after an update.

  bash   source <(kafnus completion bash)                in ~/.bashrc
  zsh    source <(kafnus completion zsh)                 in ~/.zshrc, behind compinit
  fish   kafnus completion fish > ~/.config/fish/completions/kafnus.fish

Options:
  --help

Exit codes: 0 done; 2 called wrongly.
`;

/** `kafnus completion`. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const [name, surplus] = parseOptions(argv, {}, true).positionals;
    const shell = shells.find((one) => one === name);
    if (shell === undefined) {
      const what = name === undefined ? 'the shell is missing' : `unknown shell ${quoted(name)}`;
      throw new UsageError(`${what}: kafnus completion ${shells.join(', ')}`);
    }
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    const definitions = await Promise.all(
      commands.map(async (entry) => definitionOf(entry, (await entry.load()).command.help)),
    );
    io.stdout.write(completionScript(shell, definitions));
    return exitCodes.ok;
  },
};
