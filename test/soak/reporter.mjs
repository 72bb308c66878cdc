/** For Jest: tells of what failed and nothing else. The soak test tells of its progress itself. */
export default class Reporter {
  onTestResult(_test, { failureMessage }) {
    if (failureMessage) process.stderr.write(`${failureMessage}\n`);
  }

  getLastError() {
    return undefined;
  }
}
