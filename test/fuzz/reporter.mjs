/** For Jest: the run reports its findings itself, so this shows only errors of the run. */
export default class Reporter {
  onTestResult(_test, { testResults, testExecError, failureMessage }) {
    const known =
      !testExecError &&
      testResults.every(({ failureMessages }) => failureMessages.every((text) => text.includes('toEqual')));
    if (failureMessage && !known) process.stderr.write(`${failureMessage}\n`);
  }

  getLastError() {
    return undefined;
  }
}
