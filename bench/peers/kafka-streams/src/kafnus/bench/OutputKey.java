package kafnus.bench;

import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** The key of an output record: what is written, and what its topic and partition follow from. */
record OutputKey(byte[] json, byte[] entityId, String service) {
  /** Keys are only written. */
  static final Serde<OutputKey> SERDE =
      Serdes.serdeFrom(
          (topic, key) -> key.json,
          (Deserializer<OutputKey>)
              (topic, bytes) -> {
                throw new UnsupportedOperationException("keys are only written");
              });
}
