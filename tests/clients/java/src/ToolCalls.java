import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Exit;

/** How the command-line tools of Apache Kafka are called in one JVM, and what becomes of what they say. */
abstract class ToolCalls {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final PrintStream OUT = System.out;
    static final PrintStream ERR = System.err;
    static ByteArrayOutputStream said;
    private static final InputStream IN = System.in;
    private static final List<Runnable> HOOKS = new ArrayList<>();
    private static Exited exited;
    private static int saidBeforeExit;

    /** From now on a tool that ends its JVM ends its call. */
    static void takeExits() {
        Exit.setExitProcedure((status, message) -> exit(status));
        Exit.setHaltProcedure((status, message) -> exit(status));
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
    }

    /** What a tool's call of exit becomes, so that the JVM goes on. */
    private static final class Exited extends Error {
        final int status;

        Exited(int status) {
            super("exit " + status, null, false, false);
            this.status = status;
        }
    }

    /** A tool may catch what stands for its exit and exit again: the first one counts, and what is said after it does not. */
    private static void exit(int status) {
        if (exited == null) {
            exited = new Exited(status);
            System.out.flush();
            saidBeforeExit = said.size();
        }
        throw exited;
    }

    interface Main {
        void main(String... arguments) throws Exception;
    }

    /** What is taken out of a line, or a dropped line (null). */
    interface Plain {
        String plain(String line);
    }

    static void tool(String name, Main main, String... arguments) {
        tool(name, "", line -> line, main, arguments);
    }

    static void tool(String name, Plain plain, Main main, String... arguments) {
        tool(name, "", plain, main, arguments);
    }

    static void tool(String name, String input, Plain plain, Main main, String... arguments) {
        lines(name, input, plain, main, arguments).forEach(line -> Outcome.line(name, line));
    }

    /** For a tool whose lines come in an order that depends on what else there is. */
    static void sortedTool(String name, Plain plain, Main main, String... arguments) {
        List<String> lines = lines(name, "", plain, main, arguments);
        Collections.sort(lines.subList(0, lines.size() - 1));
        lines.forEach(line -> Outcome.line(name, line));
    }

    /** What is left of the lines that a tool printed, and how it ended. */
    private static List<String> lines(String name, String input, Plain plain, Main main, String... arguments) {
        said = new ByteArrayOutputStream();
        exited = null;
        PrintStream captured = new PrintStream(said, true, StandardCharsets.UTF_8);
        String end;
        long started = System.currentTimeMillis();
        System.setOut(captured);
        System.setErr(captured);
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        try {
            main.main(arguments);
            end = "returned";
        } catch (Throwable error) {
            end = Outcome.error(error);
        } finally {
            // What a tool leaves to the end of its JVM, such as closing its producer.
            HOOKS.forEach(Runnable::run);
            HOOKS.clear();
            captured.flush();
            System.setOut(OUT);
            System.setErr(ERR);
            System.setIn(IN);
        }
        ERR.println(name + " took " + (System.currentTimeMillis() - started) + " ms");
        String text = said.toString(StandardCharsets.UTF_8);
        if (exited != null) {
            text = new String(said.toByteArray(), 0, saidBeforeExit, StandardCharsets.UTF_8);
            end = "exit " + exited.status;
        }
        List<String> lines = new ArrayList<>();
        // The formatters of internal topics end no lines.
        for (String line : text.replace("}{\"key\"", "}\n{\"key\"").replace("}Processed a total", "}\nProcessed a total").split("\n")) {
            ERR.println(name + " | " + line);
            String left = line.isBlank() || isNoise(line) ? null : plain.plain(Outcome.plain(line.stripTrailing()));
            if (left != null) {
                lines.add(left.replaceAll("[ \t]+", " "));
            }
        }
        lines.add(end);
        return lines;
    }

    /** Lines of the logger and stack frames below an error's first line. */
    private static boolean isNoise(String line) {
        return line.startsWith("\tat ") || line.startsWith("\t... ") || line.matches("^[0-9:,]+ (WARN|ERROR) .*") || line.startsWith("[2");
    }

    static String[] with(String... arguments) {
        return Stream.concat(Stream.of("--bootstrap-server", BOOTSTRAP), Stream.of(arguments)).toArray(String[]::new);
    }
}
