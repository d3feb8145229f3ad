// sarama used as its users use it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"weir.tests/clients/outcome"
)

const topic = "sarama-topic"

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

func send(config *sarama.Config, addresses []string, messages []*sarama.ProducerMessage) error {
	producer, err := sarama.NewSyncProducer(addresses, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	return producer.SendMessages(messages)
}

func plaintext() []string { return outcome.Bootstrap() }

func messages(count int, topic string) []*sarama.ProducerMessage {
	all := make([]*sarama.ProducerMessage, count)
	for index := range all {
		all[index] = &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprintf("k%d", index)), Value: sarama.StringEncoder(fmt.Sprintf("value %d", index)),
			Timestamp: time.UnixMilli(1_600_000_000_000 + int64(index))}
	}
	return all
}

func read(config *sarama.Config, addresses []string, topic string, count int) ([]*sarama.ConsumerMessage, error) {
	consumer, err := sarama.NewConsumer(addresses, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	var got []*sarama.ConsumerMessage
	deadline := time.After(outcome.Patience)
	for len(got) < count {
		select {
		case message := <-partition.Messages():
			got = append(got, message)
		case <-deadline:
			return nil, fmt.Errorf("%d messages of %s never came", count, topic)
		}
	}
	return got, nil
}

func digest(messages []*sarama.ConsumerMessage) string {
	var all [][]byte
	for _, message := range messages {
		all = append(all, message.Value)
	}
	return outcome.Digest(all)
}

func codecs() error {
	for name, codec := range map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD} {
		config := settings()
		config.Producer.Compression = codec
		sent := messages(200, "sarama-"+name)
		if err := send(config, plaintext(), sent); err != nil {
			return err
		}
		got, err := read(config, plaintext(), "sarama-"+name, 200)
		if err != nil {
			return err
		}
		outcome.Line("codec."+name, "last offset %d, %s", sent[199].Offset, digest(got))
	}
	return nil
}

func versions() error {
	// Old clients pin old versions of the protocol: each must still be spoken.
	for _, version := range []sarama.KafkaVersion{sarama.V2_1_0_0, sarama.V2_4_0_0, sarama.V2_8_0_0, sarama.V3_3_0_0, sarama.MaxVersion} {
		config := settings()
		config.Version = version
		name := "sarama-version-" + version.String()
		if err := send(config, plaintext(), messages(20, name)); err != nil {
			outcome.Line(name, "%s", err)
			continue
		}
		got, err := read(config, plaintext(), name, 20)
		if err != nil {
			outcome.Line(name, "%s", err)
			continue
		}
		outcome.Line(name, "%s", digest(got))
	}
	return nil
}

func idempotent() error {
	config := settings()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	sent := messages(100, "sarama-idempotent")
	if err := send(config, plaintext(), sent); err != nil {
		return err
	}
	outcome.Line("idempotent", "last offset %d", sent[99].Offset)
	return nil
}

func shapes() error {
	headers := []sarama.RecordHeader{{Key: []byte("same"), Value: []byte("1")}, {Key: []byte("same"), Value: []byte("2")}, {Key: []byte("empty"), Value: []byte{}}}
	at := time.UnixMilli(1_600_000_000_000)
	err := send(settings(), plaintext(), []*sarama.ProducerMessage{
		{Topic: "sarama-shapes", Value: sarama.StringEncoder("no key"), Timestamp: at}, {Topic: "sarama-shapes", Key: sarama.StringEncoder("no value"), Timestamp: at},
		{Topic: "sarama-shapes", Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v"), Headers: headers, Timestamp: at}})
	if err != nil {
		return err
	}
	got, err := read(settings(), plaintext(), "sarama-shapes", 3)
	for _, message := range got {
		var said []string
		for _, header := range message.Headers {
			said = append(said, fmt.Sprintf("%s:%s", header.Key, header.Value))
		}
		outcome.Line(fmt.Sprintf("shapes.%d", message.Offset), "%q %q %d %v", message.Key, message.Value, message.Timestamp.UnixMilli(), said)
	}
	return err
}

func large(admin sarama.ClusterAdmin) error {
	limit := "70000000"
	err := admin.CreateTopic("sarama-large", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: map[string]*string{"max.message.bytes": &limit}}, false)
	if err != nil {
		return err
	}
	config := settings()
	config.Producer.MaxMessageBytes = 70_000_000
	config.Consumer.Fetch.Max = 0
	sarama.MaxResponseSize = 100 << 20
	if err := send(config, plaintext(), []*sarama.ProducerMessage{{Topic: "sarama-large", Value: sarama.ByteEncoder(make([]byte, 32<<20))}}); err != nil {
		return err
	}
	got, err := read(config, plaintext(), "sarama-large", 1)
	if err != nil {
		return err
	}
	outcome.Line("large", "%s", digest(got))
	err = send(config, plaintext(), []*sarama.ProducerMessage{{Topic: "sarama-shapes", Value: sarama.ByteEncoder(make([]byte, 3_000_000))}})
	var problems sarama.ProducerErrors
	if errors.As(err, &problems) {
		err = problems[0].Err
	}
	outcome.Line("large.refused", "%s", outcome.Result(err))
	return nil
}

// holder counts what a member of a group was given.
type holder struct {
	claims chan map[string][]int32
}

func (h *holder) Setup(session sarama.ConsumerGroupSession) error {
	h.claims <- session.Claims()
	return nil
}

func (h *holder) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *holder) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "marked")
	}
	return nil
}

func join(group string, strategy sarama.BalanceStrategy) (sarama.ConsumerGroup, *holder, error) {
	config := settings()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	member, err := sarama.NewConsumerGroup(plaintext(), group, config)
	if err != nil {
		return nil, nil, err
	}
	held := &holder{claims: make(chan map[string][]int32, 100)}
	go func() {
		for {
			if err := member.Consume(context.Background(), []string{topic}, held); err != nil {
				if errors.Is(err, sarama.ErrClosedConsumerGroup) {
					return
				}
				fmt.Fprintln(os.Stderr, "consume:", err)
			}
		}
	}()
	return member, held, nil
}

func (h *holder) until(size int) error {
	deadline := time.After(outcome.Patience)
	for {
		select {
		case claims := <-h.claims:
			if len(claims[topic]) == size {
				return nil
			}
		case <-deadline:
			return fmt.Errorf("%d partitions never came", size)
		}
	}
}

// again asks once more where a connection ended with a broker that was restarted, as this client's admin leaves to its users.
func again(call func() error) error {
	deadline := time.Now().Add(outcome.Patience)
	for {
		err := call()
		isAway := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		if !isAway || time.Now().After(deadline) {
			return err
		}
		fmt.Fprintln(os.Stderr, "again:", err)
		time.Sleep(20 * time.Millisecond)
	}
}

func groups(admin sarama.ClusterAdmin) error {
	for name, strategy := range map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "round-robin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky()} {
		group := "sarama-" + name
		first, firstHeld, err := join(group, strategy)
		if err != nil {
			return err
		}
		if err := firstHeld.until(4); err != nil {
			return err
		}
		second, secondHeld, err := join(group, strategy)
		if err != nil {
			return err
		}
		if err := secondHeld.until(2); err != nil {
			return err
		}
		if err := firstHeld.until(2); err != nil {
			return err
		}
		var described []*sarama.GroupDescription
		if err := again(func() (err error) { described, err = admin.DescribeConsumerGroups([]string{group}); return }); err != nil {
			return err
		}
		outcome.Line("group."+name, "%s %s %s %d members", described[0].State, described[0].ProtocolType, described[0].Protocol, len(described[0].Members))
		second.Close()
		if err := firstHeld.until(4); err != nil {
			return err
		}
		first.Close()
		outcome.Line("group."+name+".deleted", "%s", outcome.Result(again(func() error { return admin.DeleteConsumerGroup(group) })))
	}
	return nil
}

func administration(admin sarama.ClusterAdmin) error {
	plain := func(call func() error) string { return strings.ReplaceAll(outcome.Result(again(call)), "\n", " ") }
	outcome.Line("topic.again", "%s", plain(func() error {
		return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
	}))
	outcome.Line("topic.bad-name", "%s", plain(func() error {
		return admin.CreateTopic("bad/name", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
	}))
	outcome.Line("topic.replication", "%s", plain(func() error {
		return admin.CreateTopic("sarama-bad", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 5}, false)
	}))
	outcome.Line("partitions", "%s", plain(func() error { return admin.CreatePartitions(topic, 6, nil, false) }))
	outcome.Line("partitions.fewer", "%s", plain(func() error { return admin.CreatePartitions(topic, 2, nil, false) }))
	var entries []sarama.ConfigEntry
	if err := again(func() (err error) {
		entries, err = admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		return
	}); err != nil {
		return err
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name+"="+entry.Value)
	}
	slices.Sort(names)
	outcome.Line("configs", "%v", names)
	value := "44444"
	outcome.Line("configs.altered", "%s", plain(func() error {
		return admin.IncrementalAlterConfig(sarama.TopicResource, topic,
			map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false)
	}))
	outcome.Line("configs.replaced", "%s", plain(func() error {
		return admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"segment.ms": &value}, false)
	}))
	outcome.Line("records.deleted", "%s", plain(func() error { return admin.DeleteRecords("sarama-none", map[int32]int64{0: 50}) }))
	var brokers []*sarama.Broker
	var controller int32
	if err := again(func() (err error) { brokers, controller, err = admin.DescribeCluster(); return }); err != nil {
		return err
	}
	outcome.Line("cluster", "%d brokers, controller %d", len(brokers), controller)
	outcome.Line("topic.deleted", "%s", plain(func() error { return admin.DeleteTopic("sarama-shapes") }))
	outcome.Line("topic.deleted-unknown", "%s", plain(func() error { return admin.DeleteTopic("sarama-no-such-topic") }))
	return nil
}

func offsets() error {
	client, err := sarama.NewClient(plaintext(), settings())
	if err != nil {
		return err
	}
	defer client.Close()
	for name, time := range map[string]int64{"oldest": sarama.OffsetOldest, "newest": sarama.OffsetNewest, "time": 1_600_000_000_100} {
		offset, err := client.GetOffset("sarama-gzip", 0, time)
		outcome.Line("offset."+name, "%d %s", offset, outcome.Result(err))
	}
	manager, err := sarama.NewOffsetManagerFromClient("sarama-offsets", client)
	if err != nil {
		return err
	}
	partition, err := manager.ManagePartition("sarama-gzip", 0)
	if err != nil {
		return err
	}
	partition.MarkOffset(77, "note")
	partition.Close()
	manager.Close()
	manager, err = sarama.NewOffsetManagerFromClient("sarama-offsets", client)
	if err != nil {
		return err
	}
	partition, err = manager.ManagePartition("sarama-gzip", 0)
	if err != nil {
		return err
	}
	offset, metadata := partition.NextOffset()
	outcome.Line("offset.committed", "%d %s", offset, metadata)
	partition.Close()
	return manager.Close()
}

func secured() error {
	authority, err := os.ReadFile(os.Getenv("SSL_CA"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	config := settings()
	config.Net.TLS.Enable = true
	config.Net.TLS.Config = &tls.Config{RootCAs: pool}
	addresses := outcome.SSLBootstrap()
	if err := send(config, addresses, messages(100, "sarama-tls")); err != nil {
		return err
	}
	got, err := read(config, addresses, "sarama-tls", 100)
	if err != nil {
		return err
	}
	outcome.Line("tls", "%s", digest(got))
	return nil
}

func main() {
	admin, err := sarama.NewClusterAdmin(plaintext(), settings())
	if err != nil {
		panic(err)
	}
	outcome.Section("topic", func() error {
		return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: -1}, false)
	})
	outcome.Section("codecs", codecs)
	outcome.Section("versions", versions)
	outcome.Section("idempotent", idempotent)
	outcome.Section("shapes", shapes)
	outcome.Section("large", func() error { return large(admin) })
	outcome.Section("offsets", offsets)
	outcome.Section("groups", func() error { return groups(admin) })
	outcome.Section("administration", func() error { return administration(admin) })
	outcome.Section("tls", secured)
}
