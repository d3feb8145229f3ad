import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

/** Prints outcome lines: `case = outcome`, free of ports, times and random ids. */
final class Outcome {
    private static final long PATIENCE_MS = 60_000;

    private Outcome() {
    }

    static synchronized void line(String name, Object outcome) {
        System.out.println(name + " = " + String.valueOf(outcome).replace("\n", "\\n"));
        System.out.flush();
    }

    /** Runs the body; its result or its error is the outcome. */
    static void of(String name, Callable<?> body) {
        try {
            line(name, body.call());
        } catch (Throwable error) {
            line(name, error(error));
        }
    }

    /** A section that prints its own lines; an error ends it and is a line too. */
    static void section(String name, Body body) {
        long started = System.currentTimeMillis();
        try {
            body.run();
            line(name, "done");
        } catch (Throwable error) {
            error.printStackTrace();
            line(name, error(error));
        }
        System.err.println(name + " took " + (System.currentTimeMillis() - started) + " ms");
    }

    static String error(Throwable error) {
        Throwable cause = error;
        while ((cause instanceof ExecutionException || cause instanceof CompletionException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause.getClass().getSimpleName() + ": " + plain(String.valueOf(cause.getMessage()));
    }

    /** Takes out what differs from run to run. */
    static String plain(String text) {
        return text.replace(System.getenv("DATA_DIR"), "DATA").replaceAll("127\\.0\\.0\\.1:[0-9]+", "HOST:PORT")
            .replaceAll("127\\.0\\.0\\.1", "HOST")
            .replaceAll("[0-9]+ ?ms\\b", "N ms")
            .replaceAll("localhost:[0-9]+", "HOST:PORT")
            .replaceAll("-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "-UUID");
    }

    /** Waits until the condition holds; `step` moves things on meanwhile. */
    static void until(String what, BooleanSupplier condition, Body step) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.getAsBoolean()) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("never came: " + what);
            }
            step.run();
        }
    }

    static String sorted(Collection<?> values) {
        return values.stream().map(String::valueOf).sorted().collect(Collectors.joining(", ", "[", "]"));
    }

    static String sorted(Map<?, ?> values) {
        TreeMap<String, String> byText = new TreeMap<>();
        values.forEach((key, value) -> byText.put(String.valueOf(key), String.valueOf(value)));
        return byText.toString();
    }

    static String digest(byte[] bytes) {
        return bytes == null ? "null" : bytes.length + " bytes " + Integer.toHexString(Arrays.hashCode(bytes));
    }

    interface Body {
        void run() throws Exception;
    }
}
