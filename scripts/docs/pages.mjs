/**
 * The generated pages of docs/. The input is a parameter: `make docs` passes the build output, and
 * test/docs the sources, so that the test never uses an old build.
 */
import { cliPage } from './cli-page.mjs';
import { configurationPage } from './configuration-page.mjs';
import { errorsPage } from './errors-page.mjs';

/**
 * @param {object} from `agents`: the rows of `settingsReference` by agent; `codes`: the
 * vocabularies; `programHelp`; `commands`: name and help of each
 * @returns {Record<string, string>} text by path, not formatted
 */
export function pages({ agents, codes, programHelp, commands }) {
  return {
    'docs/configuration.md': configurationPage(agents),
    'docs/errors.md': errorsPage(codes),
    'docs/cli.md': cliPage(programHelp, commands),
  };
}
