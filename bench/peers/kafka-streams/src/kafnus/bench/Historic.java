package kafnus.bench;

import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StreamPartitioner;

/**
 * The historic agent as a Kafka Streams application: the same records, exactly once, on one thread.
 * It is written for speed as the agent is (tokens to a typed tree, schemas from a cache, bytes
 * out), but takes good input for granted: no rejects, no reports, no metrics by tenant, topics made
 * beforehand.
 *
 * <p>{@code java kafnus.bench.Historic <brokers> <input topic> <application id>}
 */
public final class Historic {
  public static void main(String[] arguments) throws InterruptedException {
    String input = arguments[1];
    String run = arguments[2];

    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, run);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir"));
    settings.put("auto.offset.reset", "earliest");

    // The entity decides the partition, whatever the key holds besides.
    StreamPartitioner<OutputKey, byte[]> byEntity =
        (topic, key, value, partitions) ->
            Optional.of(Set.of(Utils.toPositive(Utils.murmur2(key.entityId())) % partitions));

    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(input, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .process(Transform::new)
        .to(
            (key, value, context) -> run + "_" + key.service(),
            Produced.with(OutputKey.SERDE, Serdes.ByteArray()).withStreamPartitioner(byEntity));

    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    CountDownLatch failed = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          failed.countDown();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    // The application ends with the program that started it, however that ends.
    Thread watcher =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) {}
              } catch (java.io.IOException closed) {
                // The same as the end.
              }
              Runtime.getRuntime().halt(0);
            });
    watcher.setDaemon(true);
    watcher.start();
    streams.start();
    failed.await();
    System.exit(1);
  }

  private Historic() {}
}
