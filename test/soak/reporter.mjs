/** A Jest reporter that prints failures only. The soak test prints its own progress. */
export default class Reporter {
  onTestResult(_test, { failureMessage }) {
    if (failureMessage) process.stderr.write(`${failureMessage}\n`);
  }

  getLastError() {
    return undefined;
  }
}
