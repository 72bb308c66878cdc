package kafnus.testkit;

import java.io.File;
import org.apache.kafka.connect.cli.ConnectDistributed;

/**
 * A worker of Kafka Connect (distributed mode) that lives no longer than the process that started it, see {@link Leash}.
 *
 * <p>Arguments: worker.properties, scratch folder.
 */
public final class LeashedWorker {
  private LeashedWorker() {}

  public static void main(String[] args) {
    Leash.hold(new File(args[1]));
    ConnectDistributed.main(new String[] {args[0]});
  }
}
