import { describe, expect, test } from '@jest/globals';
import { commands } from '../src/commands.js';
import { definitionOf } from '../src/completion/definitions.js';
import { shells } from '../src/completion/scripts.js';
import { completed, withShell, zshWith } from './completing-shells.js';
import { kafnus } from './io.js';

describe('kafnus completion', () => {
  test('knows the actions and options that a help tells', () => {
    const help = `Usage: kafnus x plan [options]\n       kafnus x apply|undo --force\n\nText.\n\n  --brokers LIST  where\n  --json\n  --topics A,B     some\n      --not-one of them\n`;
    expect(definitionOf({ name: 'x', summary: 's' }, help)).toEqual({
      name: 'x',
      summary: 's',
      actions: ['plan', 'apply', 'undo'],
      options: [
        { name: '--brokers', takesValue: true, text: 'where' },
        { name: '--json', takesValue: false, text: '' },
        { name: '--topics', takesValue: true, text: 'some --not-one of them' },
      ],
    });
  });

  test.each(commands)('every option of $name that is completed is one', async ({ name, summary, load }) => {
    const { options } = definitionOf({ name, summary }, (await load()).command.help);
    expect(options.map((option) => option.name)).toContain('--help');
    for (const { name: option, takesValue } of options.filter((each) => each.name !== '--help')) {
      // An argument that no command takes ends the run before it does anything.
      const { code, stderr } = await kafnus([name, takesValue ? `${option}=1` : option, '--no-such-option']);
      expect({ option, code }).toEqual({ option, code: 2 });
      expect(stderr).toContain('--no-such-option');
    }
  });

  // What a user types before the tab key, and what stands there, or is offered, after it.
  const typed: readonly (readonly [string, string])[] = [
    ['kafnus re', 'replay'],
    ['kafnus --v', '--version'],
    ['kafnus replay p', 'plan'],
    ['kafnus completion f', 'fish'],
    ['kafnus replay plan --te', '--tenant'],
    // Values may be called like commands, and are files where nothing else is known of them.
    ['kafnus send --topic replay --te', '--te'],
    ['kafnus topics plan --config package.j', 'package.json'],
    // Of another command.
    ['kafnus demo --te', '--te'],
  ];

  for (const shell of shells) {
    withShell(shell)(`in ${shell}`, () => {
      test('it completes what is typed', async () => {
        const { code, stdout } = await kafnus(['completion', shell]);
        expect(code).toBe(0);
        const lines = typed.map(([line]) => line);
        expect(await completed[shell](stdout, lines)).toEqual(typed);
      });
    });
  }

  withShell('zsh')('in a folder of zsh', () => {
    test('it is found and completes at its first use', async () => {
      const { stdout } = await kafnus(['completion', 'zsh']);
      expect(await zshWith({ _kafnus: stdout }, '', ['kafnus re'])).toEqual([['kafnus re', 'replay']]);
    });
  });

  test.each(shells)('%s gets all commands', async (shell) => {
    const { stdout } = await kafnus(['completion', shell]);
    for (const { name } of commands) expect(stdout).toContain(name);
  });

  test.each([
    [[], 'the shell is missing: kafnus completion bash, zsh, fish'],
    [['tcsh'], "unknown shell 'tcsh': kafnus completion bash, zsh, fish"],
    [['bash', 'zsh'], "unexpected argument 'zsh'"],
  ])('refuses %j', async (argv, message) => {
    expect(await kafnus(['completion', ...argv])).toEqual({
      code: 2,
      stdout: '',
      stderr: `kafnus completion: ${message}\n'kafnus completion --help' shows the usage.\n`,
    });
  });
});
