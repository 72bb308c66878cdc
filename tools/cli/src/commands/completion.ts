import { exitCodes, UsageError, type Command } from '../command.js';
import { commands } from '../commands.js';
import { definitionOf } from '../completion/definitions.js';
import { completionScript, shells } from '../completion/scripts.js';
import { parseOptions, requireNoArguments } from '../options.js';
import { quoted } from '../terminal/text.js';

const helpText = `Usage: kafnus completion bash|zsh|fish

Prints a script that completes commands, actions and options in a shell. It is generated from the
help of the commands, so print it again after an update.

  bash   source <(kafnus completion bash)                in ~/.bashrc
  zsh    source <(kafnus completion zsh)                 in ~/.zshrc, after compinit
  fish   kafnus completion fish > ~/.config/fish/completions/kafnus.fish

Options:
  --help

Exit codes: 0 done; 2 wrong usage.
`;

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const [name, ...surplus] = parseOptions(argv, {}, true).positionals;
    const shell = shells.find((one) => one === name);
    if (shell === undefined) {
      const what = name === undefined ? 'the shell is missing' : `unknown shell ${quoted(name)}`;
      throw new UsageError(`${what}: kafnus completion ${shells.join(', ')}`);
    }
    requireNoArguments(surplus);
    const definitions = await Promise.all(
      commands.map(async (entry) => definitionOf(entry, (await entry.load()).command.help)),
    );
    io.stdout.write(completionScript(shell, definitions));
    return exitCodes.ok;
  },
};
