/**
 * The pages of docs/ that are made from the code. What they are made from is given: `make docs` gives what is built, and the
 * test of test/docs the sources, so that it never compares with an old build.
 */
import { cliPage } from './cli-page.mjs';
import { configurationPage } from './configuration-page.mjs';
import { errorsPage } from './errors-page.mjs';

/**
 * @param {object} from `agents`: the rows of `settingsReference` by agent; `codes`: the vocabularies; `programHelp`;
 *   `commands`: name and help of each
 * @returns {Record<string, string>} text by path, not formatted
 */
export function pages({ agents, codes, programHelp, commands }) {
  return {
    'docs/configuration.md': configurationPage(agents),
    'docs/errors.md': errorsPage(codes),
    'docs/cli.md': cliPage(programHelp, commands),
  };
}
