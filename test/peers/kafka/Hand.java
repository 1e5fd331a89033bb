import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own clients, driven by lines of JSON on standard input: one command a line, one answer a
 * line. One JVM serves a whole test file, so that no command waits for a JVM to start.
 *
 *     java -cp ... Hand BOOTSTRAP [CLIENT.PROPERTIES]
 */
public class Hand {
  static final ObjectMapper json = new ObjectMapper();
  static final Properties base = new Properties();
  static final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
  static final Map<String, byte[]> files = new HashMap<>();
  static Admin admin;

  public static void main(String[] args) throws Exception {
    if (args.length > 1) try (FileReader reader = new FileReader(args[1])) { base.load(reader); }
    base.put("bootstrap.servers", args[0]);
    base.putIfAbsent("default.api.timeout.ms", "20000");
    base.putIfAbsent("request.timeout.ms", "10000");
    admin = Admin.create(base);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      ObjectNode answer = json.createObjectNode();
      try {
        obey(json.readTree(line), answer);
        answer.put("ok", true);
      } catch (Throwable error) {
        Throwable cause = error instanceof java.util.concurrent.ExecutionException ? error.getCause() : error;
        answer.put("ok", false).put("error", cause.toString());
      }
      System.out.println(json.writeValueAsString(answer));
    }
    System.exit(0);
  }

  static void obey(JsonNode command, ObjectNode answer) throws Exception {
    String topic = command.path("topic").asText();
    switch (command.path("do").asText()) {
      case "create": {
        NewTopic made = command.has("replicas")
            ? new NewTopic(topic, assignment(command.get("replicas")))
            : new NewTopic(topic, command.path("partitions").asInt(1), (short) command.path("replication").asInt(1));
        admin.createTopics(List.of(made.configs(configs(command)))).all().get();
        break;
      }
      case "delete": admin.deleteTopics(List.of(topic)).all().get(); break;
      case "configure": {
        Collection<AlterConfigOp> ops = new ArrayList<>();
        configs(command).forEach((name, value) -> ops.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(new org.apache.kafka.common.config.ConfigResource(
            org.apache.kafka.common.config.ConfigResource.Type.TOPIC, topic), ops)).all().get();
        break;
      }
      case "partitions":
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(command.get("count").asInt()))).all().get();
        break;
      case "truncate":
        admin.deleteRecords(Map.of(new TopicPartition(topic, command.path("partition").asInt()),
            RecordsToDelete.beforeOffset(command.get("before").asLong()))).all().get();
        break;
      case "lead": lead(topic, command.path("partition").asInt(), command.get("replicas")); break;
      case "scram":
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(command.get("user").asText(),
            new ScramCredentialInfo(ScramMechanism.fromMechanismName(command.get("mechanism").asText()), 4096),
            command.get("password").asText()))).all().get();
        break;
      case "produce": produce(command, answer); break;
      case "fill": fill(command, answer); break;
      default: throw new IllegalArgumentException("no such command: " + command.path("do").asText());
    }
  }

  /** Hand the leadership of a partition to the first of `replicas`. */
  static void lead(String topic, int partition, JsonNode replicas) throws Exception {
    TopicPartition at = new TopicPartition(topic, partition);
    List<Integer> order = new ArrayList<>();
    replicas.forEach(replica -> order.add(replica.asInt()));
    admin.alterPartitionReassignments(Map.of(at, Optional.of(new NewPartitionReassignment(order)))).all().get();
    while (!admin.listPartitionReassignments(Set.of(at)).reassignments().get().isEmpty()) Thread.sleep(20);
    for (int turn = 0; turn < 500; turn++) {
      try {
        admin.electLeaders(ElectionType.PREFERRED, Set.of(at)).partitions().get();
      } catch (java.util.concurrent.ExecutionException retried) {
        // The replica may not be in sync yet.
      }
      int leader = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().get(partition).leader().id();
      if (leader == order.get(0)) return;
      Thread.sleep(20);
    }
    throw new IllegalStateException("the leader did not move");
  }

  /** Records one by one, as given; in a transaction where `transaction` is "commit" or "abort". */
  static void produce(JsonNode command, ObjectNode answer) throws Exception {
    KafkaProducer<byte[], byte[]> producer = producerOf(command);
    String end = command.path("transaction").asText("");
    if (!end.isEmpty()) producer.beginTransaction();
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (JsonNode record : command.get("records")) {
      ProducerRecord<byte[], byte[]> one = new ProducerRecord<>(command.get("topic").asText(),
          record.path("partition").asInt(0),
          record.has("timestamp") ? record.get("timestamp").asLong() : null,
          record.hasNonNull("key") ? record.get("key").asText().getBytes(StandardCharsets.UTF_8) : null,
          valueOf(record));
      record.path("headers").fields().forEachRemaining(header ->
          one.headers().add(header.getKey(), header.getValue().asText().getBytes(StandardCharsets.UTF_8)));
      sent.add(producer.send(one));
    }
    producer.flush();
    var offsets = answer.putArray("offsets");
    Map<TopicPartition, Long> last = new HashMap<>();
    for (Future<RecordMetadata> one : sent) {
      RecordMetadata at = one.get();
      offsets.add(at.offset());
      last.merge(new TopicPartition(at.topic(), at.partition()), at.offset(), Math::max);
    }
    if (end.equals("commit")) producer.commitTransaction();
    if (end.equals("abort")) producer.abortTransaction();
    if (!end.isEmpty()) awaitMarkers(last);
  }

  /** The markers of a transaction come a little after its end: wait until each partition has its own. */
  static void awaitMarkers(Map<TopicPartition, Long> last) throws Exception {
    Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
    for (TopicPartition at : last.keySet()) ask.put(at, OffsetSpec.latest());
    ListOffsetsOptions stable = new ListOffsetsOptions(org.apache.kafka.common.IsolationLevel.READ_COMMITTED);
    for (int turn = 0; turn < 2000; turn++) {
      var ends = admin.listOffsets(ask, stable).all().get();
      if (last.entrySet().stream().allMatch(e -> ends.get(e.getKey()).offset() >= e.getValue() + 2)) return;
      Thread.sleep(5);
    }
    throw new IllegalStateException("no marker was written");
  }

  /** `count` records made of `files` in turn, over `partitions` in turn, at `rate` a second at most. */
  static void fill(JsonNode command, ObjectNode answer) throws Exception {
    KafkaProducer<byte[], byte[]> producer = producerOf(command);
    List<byte[]> values = new ArrayList<>();
    for (JsonNode file : command.get("files")) values.add(Files.readAllBytes(Path.of(file.asText())));
    int count = command.get("count").asInt(), partitions = command.path("partitions").asInt(1);
    double rate = command.path("rate").asDouble(0);
    java.util.concurrent.atomic.AtomicReference<Exception> failure = new java.util.concurrent.atomic.AtomicReference<>();
    long begun = System.nanoTime();
    for (int i = 0; i < count; i++) {
      if (rate > 0) {
        long wait = begun + (long) (i / rate * 1e9) - System.nanoTime();
        if (wait > 0) TimeUnit.NANOSECONDS.sleep(wait);
      }
      producer.send(new ProducerRecord<>(command.get("topic").asText(), i % partitions, null, values.get(i % values.size())),
          (at, error) -> { if (error != null) failure.compareAndSet(null, error); });
    }
    producer.flush();
    if (failure.get() != null) throw failure.get();
    answer.put("seconds", (System.nanoTime() - begun) / 1e9);
  }

  static byte[] valueOf(JsonNode record) throws Exception {
    if (record.hasNonNull("base64")) return Base64.getDecoder().decode(record.get("base64").asText());
    if (record.hasNonNull("file")) {
      String path = record.get("file").asText();
      byte[] known = files.get(path);
      if (known == null) files.put(path, known = Files.readAllBytes(Path.of(path)));
      return known;
    }
    return null;
  }

  static KafkaProducer<byte[], byte[]> producerOf(JsonNode command) {
    String compression = command.path("compression").asText("none");
    String transactional = command.has("transaction") ? "hand-" + compression : "";
    return producers.computeIfAbsent(compression + " " + transactional, key -> {
      Properties settings = new Properties();
      settings.putAll(base);
      settings.put("compression.type", compression);
      settings.put("acks", "all");
      settings.put("linger.ms", "5");
      settings.put("batch.size", "1000000");
      settings.put("max.request.size", "90000000");
      settings.put("buffer.memory", "134217728");
      settings.put("delivery.timeout.ms", "60000");
      // An idempotent producer of 4.1.0 may stay out of sequence for ever where a topic is very new.
      if (transactional.isEmpty()) {
        settings.put("enable.idempotence", "false");
        settings.put("max.in.flight.requests.per.connection", "1");
      } else settings.put("transactional.id", transactional);
      KafkaProducer<byte[], byte[]> producer =
          new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
      if (!transactional.isEmpty()) producer.initTransactions();
      return producer;
    });
  }

  static Map<Integer, List<Integer>> assignment(JsonNode replicas) {
    Map<Integer, List<Integer>> all = new HashMap<>();
    for (int i = 0; i < replicas.size(); i++) {
      List<Integer> order = new ArrayList<>();
      replicas.get(i).forEach(replica -> order.add(replica.asInt()));
      all.put(i, order);
    }
    return all;
  }

  static Map<String, String> configs(JsonNode command) {
    Map<String, String> all = new HashMap<>();
    command.path("configs").fields().forEachRemaining(entry -> all.put(entry.getKey(), entry.getValue().asText()));
    return all;
  }
}
