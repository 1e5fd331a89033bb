import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import javax.jms.JMSException;
import org.apache.activemq.command.ActiveMQTextMessage;
import org.apache.activemq.command.ActiveMQTopic;
import org.apache.activemq.filter.BooleanExpression;
import org.apache.activemq.filter.MessageEvaluationContext;
import org.apache.activemq.filter.NonCachedMessageEvaluationContext;
import org.apache.activemq.selector.SelectorParser;

/**
 * ActiveMQ's own verdicts. `verdicts`: a selector a line on standard input, as base64 of UTF-8; a verdict
 * a line on standard output: INVALID, TRUE, FALSE, UNKNOWN or EVALERR. `bench SECONDS SELECTOR`:
 * evaluations of one selector in so many seconds, on an alert-like message.
 */
public final class Verdicts {
  public static void main(String[] words) throws Exception {
    if (words.length > 0 && words[0].equals("bench")) {
      bench(Double.parseDouble(words[1]), words[2]);
      return;
    }
    MessageEvaluationContext context = contextOf(fixedMessage());
    PrintStream out = new PrintStream(System.out, false, "UTF-8");
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String selector = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
      out.println(verdict(selector, context));
    }
    out.flush();
  }

  private static String verdict(String selector, MessageEvaluationContext context) {
    BooleanExpression expression;
    try {
      expression = SelectorParser.parse(selector);
    } catch (Throwable fault) {
      return "INVALID";
    }
    try {
      Object value = expression.evaluate(context);
      return value == null ? "UNKNOWN" : Boolean.TRUE.equals(value) ? "TRUE" : "FALSE";
    } catch (Throwable fault) {
      return "EVALERR";
    }
  }

  /** The message of the measured vectors. */
  private static ActiveMQTextMessage fixedMessage() throws JMSException {
    ActiveMQTextMessage message = new ActiveMQTextMessage();
    message.setJMSDestination(new ActiveMQTopic("T"));
    message.setJMSType("jt");
    message.setJMSMessageID("id:1");
    message.setStringProperty("s", "abc");
    message.setStringProperty("empty", "");
    message.setStringProperty("num", "5");
    message.setStringProperty("pct", "10%_x");
    message.setStringProperty("nl", "a\nb");
    message.setStringProperty("q", "it's");
    message.setStringProperty("TYPE", "_S");
    message.setIntProperty("i", 5);
    message.setLongProperty("l", 5);
    message.setLongProperty("big", 9007199254740993L);
    message.setFloatProperty("f", 5f);
    message.setFloatProperty("f1", 0.1f);
    message.setDoubleProperty("d", 5);
    message.setDoubleProperty("d1", 0.1);
    message.setDoubleProperty("nan", Double.NaN);
    message.setShortProperty("sh", (short) 5);
    message.setByteProperty("by", (byte) 5);
    message.setBooleanProperty("t", true);
    message.setBooleanProperty("fa", false);
    return message;
  }

  private static MessageEvaluationContext contextOf(ActiveMQTextMessage message) {
    MessageEvaluationContext context = new NonCachedMessageEvaluationContext();
    context.setMessageReference(message);
    context.setDestination(message.getDestination());
    return context;
  }

  private static void bench(double seconds, String selector) throws Exception {
    ActiveMQTextMessage[] messages = new ActiveMQTextMessage[1000];
    MessageEvaluationContext[] contexts = new MessageEvaluationContext[messages.length];
    java.util.Random random = new java.util.Random(1);
    for (int i = 0; i < messages.length; i++) {
      messages[i] = new ActiveMQTextMessage();
      messages[i].setJMSDestination(new ActiveMQTopic("T"));
      messages[i].setFloatProperty("rb", random.nextFloat());
      messages[i].setFloatProperty("magpsf", 15 + 6 * random.nextFloat());
      messages[i].setIntProperty("fid", 1 + random.nextInt(3));
      messages[i].setIntProperty("nbad", random.nextInt(3));
      messages[i].setStringProperty("isdiffpos", random.nextInt(4) == 0 ? "f" : "t");
      messages[i].setFloatProperty("distpsnr1", 10 * random.nextFloat());
      messages[i].setFloatProperty("sgscore1", random.nextFloat());
      contexts[i] = contextOf(messages[i]);
    }
    BooleanExpression expression = SelectorParser.parse(selector);
    for (int round = 0; round < 2; round++) {
      long count = 0;
      long matched = 0;
      long start = System.nanoTime();
      while (System.nanoTime() - start < seconds * 1e9) {
        for (MessageEvaluationContext context : contexts) {
          if (expression.matches(context)) matched++;
        }
        count += contexts.length;
      }
      double rate = count / ((System.nanoTime() - start) / 1e9);
      if (round == 1) System.out.println(Math.round(rate) + " " + matched);
    }
  }
}
