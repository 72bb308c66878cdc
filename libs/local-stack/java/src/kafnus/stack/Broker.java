package kafnus.stack;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.utils.Time;

/**
 * One Kafka broker and controller that lives no longer than the process that started it, see
 * {@link ExitWithParent}.
 *
 * <p>Arguments: server.properties, cluster id, scratch folder. It formats its storage when that is
 * new, prints the line {@code ready} once it serves clients, and stops on SIGTERM.
 */
public final class Broker {
  public static void main(String[] args) throws IOException {
    String config = args[0];
    String clusterId = args[1];
    File scratch = new File(args[2]);

    ExitWithParent.hold(scratch);

    int formatted = StorageTool.execute(
        new String[] {"format", "--ignore-formatted", "--cluster-id", clusterId, "--config", config}, System.err);
    if (formatted != 0) {
      System.exit(formatted);
    }

    Properties properties = new Properties();
    try (InputStream in = new FileInputStream(config)) {
      properties.load(in);
    }
    KafkaRaftServer server = new KafkaRaftServer(KafkaConfig.fromProps(properties, false), Time.SYSTEM);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown, "shutdown"));
    try {
      server.startup();
    } catch (Throwable failure) {
      failure.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
    System.out.println("ready");
    server.awaitShutdown();
  }
}
