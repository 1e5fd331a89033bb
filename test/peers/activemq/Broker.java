import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.MessageProducer;
import javax.jms.Session;
import javax.jms.TextMessage;
import org.apache.activemq.ActiveMQConnectionFactory;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.broker.TransportConnector;

/**
 * ActiveMQ's broker, with nothing on disk, at ports of the system's choice: prints `stomp PORT`, and ends
 * with its standard input. A line there, `topic|queue NAME BODY PROPERTY…`, is sent by OpenWire as
 * ctrl_events sends: a text message that is not persistent, with typed properties `NAME:TYPE:VALUE`. Body
 * and values are base64.
 */
public final class Broker {
  public static void main(String[] words) throws Exception {
    BrokerService broker = new BrokerService();
    broker.setPersistent(false);
    broker.setUseJmx(false);
    broker.setAdvisorySupport(false);
    broker.setUseShutdownHook(false);
    TransportConnector stomp = broker.addConnector("stomp://127.0.0.1:0");
    TransportConnector openwire = broker.addConnector("tcp://127.0.0.1:0");
    broker.start();
    broker.waitUntilStarted();
    ActiveMQConnectionFactory factory =
        new ActiveMQConnectionFactory(openwire.getConnectUri() + "?jms.watchTopicAdvisories=false");
    Connection connection = factory.createConnection();
    connection.start();
    Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
    System.out.println("stomp " + stomp.getConnectUri().getPort());
    System.out.flush();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      send(session, line.split(" "));
    }
    connection.close();
    broker.stop();
    System.exit(0);
  }

  private static void send(Session session, String[] words) throws Exception {
    MessageProducer producer =
        session.createProducer(
            words[0].equals("topic")
                ? session.createTopic(words[1])
                : session.createQueue(words[1]));
    producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
    TextMessage message = session.createTextMessage(decoded(words[2]));
    for (int i = 3; i < words.length; i++) {
      String[] parts = words[i].split(":", 3);
      String value = decoded(parts[2]);
      switch (parts[1]) {
        case "bool" -> message.setBooleanProperty(parts[0], Boolean.parseBoolean(value));
        case "int" -> message.setIntProperty(parts[0], Integer.parseInt(value));
        case "long" -> message.setLongProperty(parts[0], Long.parseLong(value));
        case "float" -> message.setFloatProperty(parts[0], Float.parseFloat(value));
        case "double" -> message.setDoubleProperty(parts[0], Double.parseDouble(value));
        default -> message.setStringProperty(parts[0], value);
      }
    }
    producer.send(message);
    producer.close();
  }

  private static String decoded(String text) {
    return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
  }
}
