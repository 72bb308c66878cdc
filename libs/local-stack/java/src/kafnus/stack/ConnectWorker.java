package kafnus.stack;

import java.io.File;
import org.apache.kafka.connect.cli.ConnectDistributed;

/**
 * A worker of Kafka Connect (distributed mode) that lives no longer than the process that started
 * it, see {@link ExitWithParent}.
 *
 * <p>Arguments: worker.properties, scratch folder.
 */
public final class ConnectWorker {
  private ConnectWorker() {}

  public static void main(String[] args) {
    ExitWithParent.hold(new File(args[1]));
    ConnectDistributed.main(new String[] {args[0]});
  }
}
