package kafnus.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;

/** Texts of NGSI in the form that databases take. */
final class Names {
  /**
   * Trimmed, without one leading and one trailing slash, lower-cased, and `_` for all but letters,
   * digits and `_`.
   */
  static String sanitise(String text) {
    String trimmed = text.trim().toLowerCase(Locale.ROOT);
    int from = trimmed.startsWith("/") ? 1 : 0;
    int to = trimmed.length() - (trimmed.length() > from && trimmed.endsWith("/") ? 1 : 0);
    StringBuilder result = new StringBuilder(to - from);
    for (int place = from; place < to; place++) {
      char character = trimmed.charAt(place);
      boolean legal = character >= 'a' && character <= 'z' || character >= '0' && character <= '9' || character == '_';
      result.append(legal ? character : '_');
    }
    return result.toString();
  }

  /** "lat,lon" as the WKB of a point, x = lon. */
  static byte[] point(String latLon) {
    int comma = latLon.indexOf(',');
    double lat = Double.parseDouble(latLon.substring(0, comma));
    double lon = Double.parseDouble(latLon.substring(comma + 1));
    return ByteBuffer.allocate(21).order(ByteOrder.LITTLE_ENDIAN).put((byte) 1).putInt(1).putDouble(lon).putDouble(lat).array();
  }

  private Names() {}
}
