import com.google.common.collect.ImmutableList;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.ByteString;
import com.google.zetasql.Analyzer;
import com.google.zetasql.AnalyzerOptions;
import com.google.zetasql.ArrayType;
import com.google.zetasql.Function.TemplatedSQLFunction;
import com.google.zetasql.FunctionArgumentType;
import com.google.zetasql.FunctionSignature;
import com.google.zetasql.LanguageOptions;
import com.google.zetasql.ParseResumeLocation;
import com.google.zetasql.PreparedQuery;
import com.google.zetasql.SimpleCatalog;
import com.google.zetasql.SimpleColumn;
import com.google.zetasql.SimpleTable;
import com.google.zetasql.StructType;
import com.google.zetasql.TableContent;
import com.google.zetasql.TableValuedFunction.TemplatedSQLTVF;
import com.google.zetasql.Type;
import com.google.zetasql.TypeFactory;
import com.google.zetasql.Value;
import com.google.zetasql.ZetaSQLBuiltinFunctionOptions;
import com.google.zetasql.ZetaSQLFunctions.SignatureArgumentKind;
import com.google.zetasql.ZetaSQLOptions.ProductMode;
import com.google.zetasql.ZetaSQLOptions.ResolvedASTRewrite;
import com.google.zetasql.ZetaSQLType.TypeKind;
import com.google.zetasql.toolkit.options.BigQueryLanguageOptions;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * GoogleSQL as BigQuery has it: Google's analyzer with BigQuery's features, and its reference
 * implementation. One request a line, one answer a line, both JSON:
 *
 *   {"table": NAME, "columns": [{name, type, mode, fields}], "rows": [[value]]}
 *   {"define": "CREATE … FUNCTION …", name, parameters: [{name, type}], answers, body}
 *   {"check": SQL}   analyzed and not run
 *   {"query": SQL}   run on the tables
 *
 * What is not understood answers {"error": …} with the engine's own sentence.
 */
public final class Engine {
  private static final LanguageOptions language = BigQueryLanguageOptions.get();

  private final SimpleCatalog catalog = new SimpleCatalog("bigquery");
  private final Map<String, TableContent> contents = new HashMap<>();
  private final Map<String, String> tableFunctions = new HashMap<>();

  private Engine() {
    catalog.addZetaSQLFunctionsAndTypes(new ZetaSQLBuiltinFunctionOptions(language));
  }

  public static void main(String[] args) throws Exception {
    Engine engine = new Engine();
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonObject answer;
      try {
        answer = engine.answer(JsonParser.parseString(line).getAsJsonObject());
      } catch (Exception error) {
        answer = new JsonObject();
        error.printStackTrace();
        answer.addProperty("error", String.valueOf(error.getMessage()));
      }
      out.println(answer);
      out.flush();
    }
  }

  private JsonObject answer(JsonObject asked) {
    if (asked.has("table")) return table(asked);
    if (asked.has("define")) return define(asked);
    if (asked.has("check")) return check(asked.get("check").getAsString());
    return query(asked.get("query").getAsString());
  }

  private static AnalyzerOptions options() {
    AnalyzerOptions options = new AnalyzerOptions();
    options.setLanguageOptions(language);
    options.setDefaultTimezone("UTC");
    options.setPruneUnusedColumns(true);
    options.enableRewrite(ResolvedASTRewrite.REWRITE_INLINE_SQL_FUNCTIONS);
    options.enableRewrite(ResolvedASTRewrite.REWRITE_INLINE_SQL_TVFS);
    return options;
  }

  private JsonObject table(JsonObject asked) {
    String name = asked.get("table").getAsString();
    List<String> names = new ArrayList<>();
    List<Type> types = new ArrayList<>();
    for (JsonElement column : asked.getAsJsonArray("columns")) {
      names.add(column.getAsJsonObject().get("name").getAsString());
      types.add(typeOf(column.getAsJsonObject()));
    }
    List<List<Value>> rows = new ArrayList<>();
    for (JsonElement row : asked.getAsJsonArray("rows")) {
      List<Value> values = new ArrayList<>();
      for (int at = 0; at < types.size(); at++) {
        values.add(valueOf(types.get(at), row.getAsJsonArray().get(at)));
      }
      rows.add(values);
    }
    SimpleTable table = new SimpleTable(name);
    for (int at = 0; at < types.size(); at++) {
      table.addSimpleColumn(new SimpleColumn(name, names.get(at), types.get(at)));
    }
    if (contents.containsKey(name)) catalog.removeSimpleTable(name);
    catalog.addSimpleTable(table);
    contents.put(name, TableContent.create(rows));
    return new JsonObject();
  }

  /**
   * Make a routine: its statement is analyzed, and what is called is its body with its parameters. (The
   * tree of a statement may be too deep for the Java classes to read, so that nothing is taken from it.)
   */
  private JsonObject define(JsonObject asked) {
    check(asked.get("define").getAsString());
    ImmutableList<String> path = ImmutableList.of(asked.get("name").getAsString());
    String code = asked.get("body").getAsString();
    ImmutableList.Builder<String> names = ImmutableList.builder();
    List<FunctionArgumentType> types = new ArrayList<>();
    for (JsonElement parameter : asked.getAsJsonArray("parameters")) {
      names.add(parameter.getAsJsonObject().get("name").getAsString());
      types.add(new FunctionArgumentType(typeOf(parameter.getAsJsonObject())));
    }
    String answers = asked.get("answers").getAsString();
    if (answers.equals("TABLE")) {
      FunctionArgumentType table =
          new FunctionArgumentType(SignatureArgumentKind.ARG_TYPE_RELATION);
      FunctionSignature signature = new FunctionSignature(table, types, -1);
      ParseResumeLocation body = new ParseResumeLocation(code);
      catalog.addTableValuedFunction(new TemplatedSQLTVF(path, signature, names.build(), body));
      tableFunctions.put(path.get(0), code);
    } else {
      Type type = TypeFactory.createSimpleType(kindOf(answers));
      FunctionSignature signature =
          new FunctionSignature(new FunctionArgumentType(type), types, -1);
      ParseResumeLocation body =
          new ParseResumeLocation("CAST((" + code + ") AS " + answers + ")");
      catalog.addFunction(new TemplatedSQLFunction(path, signature, names.build(), body));
    }
    return new JsonObject();
  }

  private JsonObject check(String sql) {
    try {
      Analyzer.analyzeStatement(sql, options(), catalog);
    } catch (RuntimeException error) {
      // It was analyzed, and its tree is too deep to be read.
      if (!String.valueOf(error.getMessage()).contains("Failed to read message")) throw error;
    }
    return new JsonObject();
  }

  /** A request has 4 MB at most, so it brings the tables alone that it names, or a routine of it. */
  private Map<String, TableContent> contentsFor(String sql) {
    StringBuilder all = new StringBuilder(sql);
    for (Map.Entry<String, String> routine : tableFunctions.entrySet()) {
      if (names(sql, routine.getKey())) all.append(' ').append(routine.getValue());
    }
    Map<String, TableContent> named = new HashMap<>(contents);
    named.keySet().removeIf(name -> !names(all.toString(), name));
    return named;
  }

  private static boolean names(String sql, String name) {
    return Pattern.compile("\\b" + Pattern.quote(name) + "\\b").matcher(sql).find();
  }

  private JsonObject query(String sql) {
    PreparedQuery.Builder builder =
        PreparedQuery.builder()
            .setSql(sql)
            .setAnalyzerOptions(options())
            .setCatalog(catalog)
            .setTablesContents(contentsFor(sql));
    try (PreparedQuery prepared = builder.prepare()) {
      JsonArray columns = new JsonArray();
      for (SimpleColumn column : prepared.getColumns()) {
        JsonObject told = new JsonObject();
        told.addProperty("name", column.getName());
        Type type = column.getType();
        boolean simple = !type.isArray() && !type.isStruct();
        told.addProperty("type", simple ? type.typeName(ProductMode.PRODUCT_EXTERNAL) : "RECORD");
        columns.add(told);
      }
      JsonArray rows = new JsonArray();
      for (List<Value> row : prepared.execute(Map.of()).getTableData()) {
        JsonArray values = new JsonArray();
        for (Value value : row) values.add(jsonOf(value));
        rows.add(values);
      }
      JsonObject answer = new JsonObject();
      answer.add("columns", columns);
      answer.add("rows", rows);
      return answer;
    }
  }

  private static Type typeOf(JsonObject column) {
    Type one;
    String type = column.get("type").getAsString();
    if (type.equals("RECORD")) {
      List<StructType.StructField> fields = new ArrayList<>();
      for (JsonElement field : column.getAsJsonArray("fields")) {
        String name = field.getAsJsonObject().get("name").getAsString();
        fields.add(new StructType.StructField(name, typeOf(field.getAsJsonObject())));
      }
      one = TypeFactory.createStructType(fields);
    } else {
      one = TypeFactory.createSimpleType(kindOf(type));
    }
    boolean repeated = column.has("mode") && column.get("mode").getAsString().equals("REPEATED");
    return repeated ? TypeFactory.createArrayType(one) : one;
  }

  private static TypeKind kindOf(String type) {
    switch (type) {
      case "STRING":
        return TypeKind.TYPE_STRING;
      case "BYTES":
        return TypeKind.TYPE_BYTES;
      case "BOOL":
        return TypeKind.TYPE_BOOL;
      case "INT64":
      case "INT32":
        return TypeKind.TYPE_INT64;
      case "FLOAT64":
      case "FLOAT32":
        return TypeKind.TYPE_DOUBLE;
      case "DATE":
        return TypeKind.TYPE_DATE;
      case "TIMESTAMP":
        return TypeKind.TYPE_TIMESTAMP;
      default:
        throw new IllegalArgumentException("no type " + type);
    }
  }

  private static Value valueOf(Type type, JsonElement json) {
    if (json == null || json.isJsonNull()) {
      // BigQuery has no array that is null, only one that is empty.
      return type.isArray()
          ? Value.createArrayValue(type.asArray(), List.of())
          : Value.createNullValue(type);
    }
    if (type.isArray()) {
      ArrayType array = type.asArray();
      List<Value> items = new ArrayList<>();
      for (JsonElement item : json.getAsJsonArray()) {
        items.add(valueOf(array.getElementType(), item));
      }
      return Value.createArrayValue(array, items);
    }
    if (type.isStruct()) {
      StructType struct = type.asStruct();
      List<Value> items = new ArrayList<>();
      for (StructType.StructField field : struct.getFieldList()) {
        items.add(valueOf(field.getType(), json.getAsJsonObject().get(field.getName())));
      }
      return Value.createStructValue(struct, items);
    }
    String text = json.getAsString();
    switch (type.getKind()) {
      case TYPE_STRING:
        return Value.createStringValue(text);
      case TYPE_BYTES:
        return Value.createBytesValue(ByteString.copyFrom(Base64.getDecoder().decode(text)));
      case TYPE_BOOL:
        return Value.createBoolValue(json.getAsBoolean());
      case TYPE_INT64:
        return Value.createInt64Value(Long.parseLong(text));
      case TYPE_DOUBLE:
        return Value.createDoubleValue(Double.parseDouble(text));
      case TYPE_DATE:
        // Days since 1970, or as the engine itself prints it.
        return text.matches("\\d{4}-\\d\\d-\\d\\d")
            ? Value.createDateValue(LocalDate.parse(text))
            : Value.createDateValue(Integer.parseInt(text));
      default:
        return Value.createTimestampValueFromUnixMicros(Long.parseLong(text));
    }
  }

  private static JsonElement jsonOf(Value value) {
    if (value.isNull()) return JsonNull.INSTANCE;
    Type type = value.getType();
    if (type.isArray()) {
      JsonArray items = new JsonArray();
      for (Value item : value.getElementList()) items.add(jsonOf(item));
      return items;
    }
    if (type.isStruct()) {
      JsonObject fields = new JsonObject();
      for (int at = 0; at < value.getFieldCount(); at++) {
        fields.add(type.asStruct().getField(at).getName(), jsonOf(value.getField(at)));
      }
      return fields;
    }
    switch (type.getKind()) {
      case TYPE_STRING:
        return new JsonPrimitive(value.getStringValue());
      case TYPE_BYTES:
        return new JsonPrimitive(
            Base64.getEncoder().encodeToString(value.getBytesValue().toByteArray()));
      case TYPE_BOOL:
        return new JsonPrimitive(value.getBoolValue());
      case TYPE_INT64:
        return new JsonPrimitive(String.valueOf(value.getInt64Value()));
      case TYPE_DOUBLE:
        double number = value.getDoubleValue();
        return Double.isFinite(number)
            ? new JsonPrimitive(number)
            : new JsonPrimitive(String.valueOf(number));
      case TYPE_DATE:
        return new JsonPrimitive(LocalDate.ofEpochDay(value.getDateValue()).toString());
      case TYPE_TIMESTAMP:
        return new JsonPrimitive(String.valueOf(value.getTimestampUnixMicros()));
      default:
        throw new IllegalArgumentException("no JSON for " + type.typeName());
    }
  }
}
