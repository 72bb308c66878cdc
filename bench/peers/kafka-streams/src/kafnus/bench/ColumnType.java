package kafnus.bench;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;

/**
 * The Connect types of columns: their schema without the column's name, and how a value is written.
 */
enum ColumnType {
  STRING("\"type\":\"string\"") {
    @Override
    void writeValue(JsonGenerator json, Object value) throws IOException {
      json.writeString((String) value);
    }
  },
  DOUBLE("\"type\":\"double\"") {
    @Override
    void writeValue(JsonGenerator json, Object value) throws IOException {
      json.writeTree((JsonNode) value);
    }
  },
  BOOLEAN("\"type\":\"boolean\"") {
    @Override
    void writeValue(JsonGenerator json, Object value) throws IOException {
      json.writeBoolean((Boolean) value);
    }
  },
  TIMESTAMP("\"type\":\"int64\",\"name\":\"org.apache.kafka.connect.data.Timestamp\"") {
    @Override
    void writeValue(JsonGenerator json, Object value) throws IOException {
      json.writeNumber((Long) value);
    }
  },
  GEOMETRY(
      "\"type\":\"struct\",\"name\":\"io.confluent.connect.jdbc.data.geometry.Geometry\",\"fields\":["
          + "{\"field\":\"wkb\",\"type\":\"bytes\"},{\"field\":\"srid\",\"type\":\"int32\"}]") {
    @Override
    void writeValue(JsonGenerator json, Object value) throws IOException {
      json.writeStartObject();
      json.writeBinaryField("wkb", (byte[]) value);
      json.writeNumberField("srid", 4326);
      json.writeEndObject();
    }
  };

  final String schema;

  ColumnType(String schema) {
    this.schema = schema;
  }

  abstract void writeValue(JsonGenerator json, Object value) throws IOException;

  final void write(JsonGenerator json, Object value) throws IOException {
    if (value == null) json.writeNull();
    else writeValue(json, value);
  }
}
