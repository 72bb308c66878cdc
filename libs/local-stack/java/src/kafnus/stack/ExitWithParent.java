package kafnus.stack;

import java.io.File;
import java.io.IOException;

/**
 * Lets a process live no longer than the one that started it. Nothing is ever written to standard
 * input, and the system closes it when the parent dies, however the parent dies.
 */
final class ExitWithParent {
  private ExitWithParent() {}

  /** @param scratch what nobody will read any more when the parent is dead: it is deleted then */
  static void hold(File scratch) {
    Thread watcher = new Thread(() -> awaitParentsDeath(scratch), "exit-with-parent");
    watcher.setDaemon(true);
    watcher.start();
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
