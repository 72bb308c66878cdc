package kafnus.stack;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Date;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;

/**
 * Passes records through Kafka Connect's own JsonConverter and says what a sink would see.
 *
 * <p>One JSON object a line on standard input: {@code {"topic", "key": base64|null,
 * "value": base64|null}}. One a line on
 * standard output: {@code {"ok": true, "key": data, "value": data}} or {@code {"ok": false,
 * "error": text}}, where data is {@code {"schema": schema|null, "value": ...}}.
 */
public final class ConverterCheck {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private final JsonConverter keys = converter(true);
  private final JsonConverter values = converter(false);

  public static void main(String[] args) throws IOException {
    ConverterCheck check = new ConverterCheck();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(JSON.writeValueAsString(check.verdict(JSON.readTree(line))));
    }
    out.flush();
  }

  private static JsonConverter converter(boolean isKey) {
    JsonConverter converter = new JsonConverter();
    converter.configure(Map.of("schemas.enable", "true"), isKey);
    return converter;
  }

  private ObjectNode verdict(JsonNode record) {
    ObjectNode verdict = NODES.objectNode();
    String part = "key";
    try {
      ObjectNode key = data(keys, record, part);
      part = "value";
      ObjectNode value = data(values, record, part);
      verdict.put("ok", true).set("key", key);
      verdict.set("value", value);
    } catch (RuntimeException | IOException failure) {
      verdict.put("ok", false).put("error", part + ": " + messages(failure));
    }
    return verdict;
  }

  private static ObjectNode data(JsonConverter converter, JsonNode record, String part) throws IOException {
    JsonNode bytes = record.get(part);
    byte[] raw = bytes == null || bytes.isNull() ? null : bytes.binaryValue();
    SchemaAndValue data = converter.toConnectData(record.get("topic").asText(), raw);
    // The converter checks each field it finds; that none is missing is checked where a sink
    // validates the struct.
    if (data.value() instanceof Struct struct) {
      struct.validate();
    }
    if (raw != null) {
      byte[] back = converter.fromConnectData(record.get("topic").asText(), data.schema(), data.value());
      JsonNode before = JSON.readTree(raw).get("payload");
      JsonNode after = JSON.readTree(back).get("payload");
      if (!same(before, after)) {
        throw new DataException("the payload " + before + " is read as " + after);
      }
    }
    ObjectNode rendered = NODES.objectNode();
    rendered.set("schema", schema(data.schema()));
    rendered.set("value", value(data.value()));
    return rendered;
  }

  /** Equal as data: numbers by their value, and a member that is missing is one that is null. */
  private static boolean same(JsonNode before, JsonNode after) {
    if (before.isObject() && after.isObject()) {
      Set<String> names = new HashSet<>();
      before.fieldNames().forEachRemaining(names::add);
      after.fieldNames().forEachRemaining(names::add);
      return names.stream().allMatch((name) -> same(member(before, name), member(after, name)));
    }
    if (before.isArray() && after.isArray() && before.size() == after.size()) {
      return IntStream.range(0, before.size()).allMatch((index) -> same(before.get(index), after.get(index)));
    }
    if (before.isNumber() && after.isNumber()) {
      return before.decimalValue().compareTo(after.decimalValue()) == 0;
    }
    return before.equals(after);
  }

  private static JsonNode member(JsonNode object, String name) {
    return object.has(name) ? object.get(name) : NODES.nullNode();
  }

  private static JsonNode schema(Schema schema) {
    if (schema == null) {
      return NODES.nullNode();
    }
    ObjectNode node = NODES.objectNode();
    node.put("type", schema.type().getName());
    if (schema.name() != null) {
      node.put("name", schema.name());
    }
    if (schema.version() != null) {
      node.put("version", schema.version());
    }
    node.put("optional", schema.isOptional());
    if (schema.type() == Schema.Type.STRUCT) {
      ArrayNode fields = node.putArray("fields");
      for (Field field : schema.fields()) {
        ObjectNode member = fields.addObject();
        member.put("field", field.name());
        member.set("schema", schema(field.schema()));
      }
    }
    if (schema.type() == Schema.Type.MAP) {
      node.set("keys", schema(schema.keySchema()));
    }
    if (schema.type() == Schema.Type.MAP || schema.type() == Schema.Type.ARRAY) {
      node.set("items", schema(schema.valueSchema()));
    }
    return node;
  }

  /** A date is its milliseconds since the epoch, bytes are base64, a struct is an object. */
  private static JsonNode value(Object value) {
    if (value instanceof Struct struct) {
      ObjectNode node = NODES.objectNode();
      for (Field field : struct.schema().fields()) {
        node.set(field.name(), value(struct.get(field)));
      }
      return node;
    }
    if (value instanceof List<?> list) {
      ArrayNode node = NODES.arrayNode();
      list.forEach((item) -> node.add(value(item)));
      return node;
    }
    if (value instanceof Map<?, ?> map) {
      ObjectNode node = NODES.objectNode();
      map.forEach((key, item) -> node.set(String.valueOf(key), value(item)));
      return node;
    }
    if (value instanceof Date date) {
      return NODES.numberNode(date.getTime());
    }
    if (value instanceof byte[] bytes) {
      return NODES.textNode(Base64.getEncoder().encodeToString(bytes));
    }
    if (value instanceof ByteBuffer buffer) {
      byte[] bytes = new byte[buffer.remaining()];
      buffer.duplicate().get(bytes);
      return NODES.textNode(Base64.getEncoder().encodeToString(bytes));
    }
    if (value instanceof BigDecimal decimal) {
      return NODES.textNode(decimal.toPlainString());
    }
    return JSON.valueToTree(value);
  }

  private static String messages(Throwable failure) {
    StringBuilder text = new StringBuilder(failure.toString());
    for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
      text.append(" / ").append(cause);
    }
    return text.toString();
  }
}
