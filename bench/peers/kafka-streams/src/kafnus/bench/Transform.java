package kafnus.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/** One NGSIv2 notification to one Kafka Connect record per entity. */
final class Transform extends ContextualProcessor<byte[], byte[], OutputKey, byte[]> {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final DateTimeFormatter MILLIS =
      new DateTimeFormatterBuilder().appendInstant(3).toFormatter(Locale.ROOT);
  private static final String KEY_SCHEMA =
      "{\"type\":\"struct\",\"fields\":[{\"field\":\"entityid\",\"type\":\"string\",\"optional\":false},"
          + "{\"field\":\"timeinstant\",\"type\":\"string\",\"optional\":false}],\"optional\":false}";

  /** One column: its Connect type, and its value or null. */
  private record Column(String name, ColumnType type, Object value) {}

  /** Schemas by the names, types and nulls of their columns. */
  private final Map<String, String> schemas = new HashMap<>();

  @Override
  public void process(Record<byte[], byte[]> record) {
    try {
      Headers in = record.headers();
      String service = text(in, "fiware-service", "default").toLowerCase(Locale.ROOT);
      String path = text(in, "fiware-servicepath", "/").toLowerCase(Locale.ROOT);
      String model = text(in, "fiware-datamodel", "");
      String correlator = text(in, "fiware-correlator", null);
      String received = MILLIS.format(Instant.ofEpochMilli(record.timestamp()));
      for (JsonNode entity : MAPPER.readTree(record.value()).get("data")) {
        String id = entity.get("id").textValue();
        String type = entity.get("type").textValue();
        String instant = entity.get("TimeInstant").get("value").textValue();
        byte[] key = key(id, instant);
        byte[] value = value(entity, id, type, path, received);
        Headers out = headers(service, Names.sanitise(path), model, Names.sanitise(type), Names.sanitise(id), correlator);
        context()
            .forward(
                new Record<>(new OutputKey(key, id.getBytes(UTF_8), service), value, record.timestamp(), out));
      }
    } catch (IOException invalid) {
      throw new UncheckedIOException(invalid);
    }
  }

  private static byte[] key(String id, String instant) throws IOException {
    ByteArrayBuilder bytes = new ByteArrayBuilder(512);
    try (JsonGenerator json = MAPPER.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeFieldName("schema");
      json.writeRawValue(KEY_SCHEMA);
      json.writeObjectFieldStart("payload");
      json.writeStringField("entityid", id);
      json.writeStringField("timeinstant", instant);
      json.writeEndObject();
      json.writeEndObject();
    }
    return bytes.toByteArray();
  }

  private byte[] value(JsonNode entity, String id, String type, String path, String received) throws IOException {
    List<Column> columns = new ArrayList<>();
    columns.add(new Column("entityid", ColumnType.STRING, id));
    columns.add(new Column("entitytype", ColumnType.STRING, type));
    columns.add(new Column("fiwareservicepath", ColumnType.STRING, path));
    for (Map.Entry<String, JsonNode> attribute : entity.properties()) {
      String name = attribute.getKey();
      if (!name.equals("id") && !name.equals("type")) columns.add(column(name, attribute.getValue()));
    }
    columns.add(new Column("recvtime", ColumnType.STRING, received));

    ByteArrayBuilder bytes = new ByteArrayBuilder(4096);
    try (JsonGenerator json = MAPPER.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeFieldName("schema");
      json.writeRawValue(schema(columns));
      json.writeObjectFieldStart("payload");
      for (Column column : columns) {
        json.writeFieldName(column.name);
        column.type.write(json, column.value);
      }
      json.writeEndObject();
      json.writeEndObject();
    }
    return bytes.toByteArray();
  }

  private static Column column(String name, JsonNode attribute) throws IOException {
    String column = name.toLowerCase(Locale.ROOT);
    JsonNode value = attribute.get("value");
    String type = attribute.get("type").asText();
    if (column.equals("timeinstant")) return new Column(column, ColumnType.STRING, value.textValue());
    if (value == null || value.isNull()) return new Column(column, ColumnType.STRING, null);
    if (type.equals("geo:point")) return new Column(column, ColumnType.GEOMETRY, Names.point(value.textValue()));
    if (type.equalsIgnoreCase("DateTime") || type.equalsIgnoreCase("ISO8601")) {
      long millis = OffsetDateTime.parse(value.textValue()).toInstant().toEpochMilli();
      return new Column(column, ColumnType.TIMESTAMP, millis);
    }
    if (value.isNumber()) return new Column(column, ColumnType.DOUBLE, value);
    if (value.isBoolean()) return new Column(column, ColumnType.BOOLEAN, value.booleanValue());
    if (value.isTextual()) return new Column(column, ColumnType.STRING, value.textValue());
    return new Column(column, ColumnType.STRING, MAPPER.writeValueAsString(value));
  }

  private String schema(List<Column> columns) {
    StringBuilder shape = new StringBuilder(256);
    for (Column column : columns) {
      shape.append(column.name).append(' ').append(column.type.ordinal()).append(column.value == null ? '?' : '!');
    }
    return schemas.computeIfAbsent(shape.toString(), unseen -> newSchema(columns));
  }

  private static String newSchema(List<Column> columns) {
    StringBuilder schema = new StringBuilder("{\"type\":\"struct\",\"fields\":[");
    for (Column column : columns) {
      if (schema.charAt(schema.length() - 1) == '}') schema.append(',');
      schema.append("{\"field\":\"").append(column.name).append("\",").append(column.type.schema);
      schema.append(",\"optional\":").append(column.value == null).append('}');
    }
    return schema.append("],\"optional\":false}").toString();
  }

  private static Headers headers(
      String service, String path, String model, String type, String id, String correlator) {
    RecordHeaders headers = new RecordHeaders();
    headers.add("fiware-service", service.getBytes(UTF_8));
    headers.add("fiware-servicepath", path.getBytes(UTF_8));
    headers.add("fiware-datamodel", model.getBytes(UTF_8));
    headers.add("entityType", type.getBytes(UTF_8));
    headers.add("entityId", id.getBytes(UTF_8));
    headers.add("suffix", new byte[0]);
    headers.add("target_table", (service + "." + path + "_" + type).getBytes(UTF_8));
    if (correlator != null) headers.add("fiware-correlator", correlator.getBytes(UTF_8));
    return headers;
  }

  private static String text(Headers headers, String name, String missing) {
    Header header = headers.lastHeader(name);
    return header == null ? missing : new String(header.value(), UTF_8);
  }
}
