package kafnus.testkit;

import java.io.File;
import java.io.IOException;

/**
 * Lets a process live no longer than the one that started it. Standard input is the leash: nothing is ever written to it,
 * and the system closes it when the parent dies, however the parent dies.
 */
final class Leash {
  private Leash() {}

  /** @param scratch what nobody will read any more when the parent is dead: it is deleted then */
  static void hold(File scratch) {
    Thread leash = new Thread(() -> awaitParentsDeath(scratch), "leash");
    leash.setDaemon(true);
    leash.start();
  }

  private static void awaitParentsDeath(File scratch) {
    try {
      while (System.in.read() >= 0) {
        // Nobody writes: anything that comes is ignored.
      }
    } catch (IOException closed) {
      // The same as the end of the stream.
    }
    delete(scratch);
    Runtime.getRuntime().halt(1);
  }

  /** Best effort: other processes with the same folder delete it while they still write to it. */
  private static void delete(File file) {
    File[] children = file.listFiles();
    if (children != null) {
      for (File child : children) {
        delete(child);
      }
    }
    file.delete();
  }
}
