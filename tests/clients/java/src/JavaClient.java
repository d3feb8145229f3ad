/** The Java client, used as its users use it. */
public final class JavaClient {
    private JavaClient() {
    }

    public static void main(String[] arguments) throws Exception {
        ProduceCases.run();
        ConsumeCases.run();
        GroupCases.run();
        AdminTopicCases.run();
        AdminConfigCases.run();
        AdminGroupCases.run();
        AdminClusterCases.run();
        System.exit(0);
    }
}
