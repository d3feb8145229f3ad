// franz-go used as its users use it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir.tests/clients/outcome"
)

const topic = "franz-topic"

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(outcome.Bootstrap()...)}, options...)...)
	if err != nil {
		panic(err)
	}
	return made
}

func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), outcome.Patience)
}

func send(producer *kgo.Client, records ...*kgo.Record) error {
	ctx, cancel := patience()
	defer cancel()
	return producer.ProduceSync(ctx, records...).FirstErr()
}

func values(count int, topic string) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for index := range records {
		records[index] = &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", index), Value: fmt.Appendf(nil, "value %d", index), Timestamp: time.UnixMilli(1_600_000_000_000 + int64(index))}
	}
	return records
}

func read(topic string, count int, options ...kgo.Opt) ([]*kgo.Record, error) {
	ctx, cancel := patience()
	defer cancel()
	consumer := client(append(options, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	defer consumer.Close()
	var records []*kgo.Record
	for len(records) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		records = append(records, fetches.Records()...)
	}
	sort.SliceStable(records, func(a, b int) bool {
		return records[a].Partition < records[b].Partition || records[a].Partition == records[b].Partition && records[a].Offset < records[b].Offset
	})
	return records, nil
}

func digest(records []*kgo.Record) string {
	var all [][]byte
	for _, record := range records {
		all = append(all, record.Value)
	}
	return outcome.Digest(all)
}

func codecs(admin *kadm.Client) error {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		topic := "franz-" + name
		if _, err := admin.CreateTopic(context.Background(), 1, -1, nil, topic); err != nil {
			return err
		}
		producer := client(kgo.ProducerBatchCompression(codec))
		records := values(300, topic)
		if err := send(producer, records...); err != nil {
			return err
		}
		producer.Close()
		got, err := read(topic, 300)
		if err != nil {
			return err
		}
		outcome.Line("codec."+name, "last offset %d, %s", records[299].Offset, digest(got))
	}
	return nil
}

func acknowledgements() error {
	for name, options := range map[string][]kgo.Opt{
		"none":   {kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		"leader": {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		"all":    {kgo.RequiredAcks(kgo.AllISRAcks())}} {
		topic := "franz-acks-" + name
		producer := client(append(options, kgo.AllowAutoTopicCreation())...)
		if err := send(producer, values(50, topic)...); err != nil {
			return err
		}
		producer.Close()
		got, err := read(topic, 50)
		if err != nil {
			return err
		}
		outcome.Line("acks."+name, "%s", digest(got))
	}
	return nil
}

func shapes() error {
	producer := client(kgo.AllowAutoTopicCreation())
	defer producer.Close()
	at := time.UnixMilli(1_600_000_000_000)
	headers := []kgo.RecordHeader{{Key: "same", Value: []byte("1")}, {Key: "same", Value: []byte("2")}, {Key: "null"}, {Key: "empty", Value: []byte{}}}
	if err := send(producer, &kgo.Record{Topic: "franz-shapes", Value: []byte("no key"), Timestamp: at}, &kgo.Record{Topic: "franz-shapes", Key: []byte("no value"), Timestamp: at},
		&kgo.Record{Topic: "franz-shapes", Key: []byte("k"), Value: []byte("v"), Headers: headers, Timestamp: at}); err != nil {
		return err
	}
	records, err := read("franz-shapes", 3)
	for _, record := range records {
		outcome.Line(fmt.Sprintf("shapes.%d", record.Offset), "%q %v %q %v %d headers %q epoch %d", record.Key, record.Key == nil, record.Value, record.Value == nil,
			record.Timestamp.UnixMilli(), record.Headers, record.LeaderEpoch)
	}
	return err
}

func large(admin *kadm.Client) error {
	limit := "70000000"
	if _, err := admin.CreateTopic(context.Background(), 1, -1, map[string]*string{"max.message.bytes": &limit}, "franz-large"); err != nil {
		return err
	}
	value := make([]byte, 64<<20)
	for index := range value {
		value[index] = byte(index*31 ^ index>>11)
	}
	producer := client(kgo.ProducerBatchMaxBytes(70_000_000), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer producer.Close()
	if err := send(producer, &kgo.Record{Topic: "franz-large", Value: value}); err != nil {
		return err
	}
	got, err := read("franz-large", 1, kgo.FetchMaxBytes(80_000_000), kgo.FetchMaxPartitionBytes(80_000_000))
	if err != nil {
		return err
	}
	outcome.Line("large", "%s", digest(got))
	outcome.Line("large.refused", "%s", outcome.Result(send(producer, &kgo.Record{Topic: "franz-shapes", Value: make([]byte, 3_000_000)})))
	return nil
}

func partitioning() error {
	producer := client()
	defer producer.Close()
	var places []int32
	for _, record := range values(20, topic) {
		if err := send(producer, record); err != nil {
			return err
		}
		places = append(places, record.Partition)
	}
	outcome.Line("keyed", "%v", places)
	return nil
}

func sizes(members []*kgo.Client) []int {
	var all []int
	for _, member := range members {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		member.PollFetches(ctx)
		cancel()
		_, _ = member.GroupMetadata()
		held := 0
		for _, partitions := range member.UncommittedOffsets() {
			held += len(partitions)
		}
		all = append(all, held)
	}
	slices.Sort(all)
	return all
}

func groups(admin *kadm.Client) error {
	for name, balancer := range map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "round-robin": kgo.RoundRobinBalancer(), "cooperative": kgo.CooperativeStickyBalancer()} {
		group := "franz-" + name
		join := func() *kgo.Client {
			return client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(balancer), kgo.HeartbeatInterval(300*time.Millisecond),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		}
		settle := func(members []*kgo.Client, wanted int) error {
			deadline := time.Now().Add(outcome.Patience)
			for {
				sizes(members)
				described, err := admin.DescribeGroups(context.Background(), group)
				if err != nil {
					return err
				}
				found := described[group]
				assigned := found.AssignedPartitions().Sorted()
				if found.State == "Stable" && len(found.Members) == wanted && len(assigned) == 1 && len(assigned[0].Partitions) == 4 {
					return nil
				}
				if time.Now().After(deadline) {
					return fmt.Errorf("%d members of %s never came", wanted, group)
				}
			}
		}
		first := join()
		if err := settle([]*kgo.Client{first}, 1); err != nil {
			return err
		}
		second := join()
		if err := settle([]*kgo.Client{first, second}, 2); err != nil {
			return err
		}
		second.Close()
		if err := settle([]*kgo.Client{first}, 1); err != nil {
			return err
		}
		described, err := admin.DescribeGroups(context.Background(), group)
		if err != nil {
			return err
		}
		found := described[group]
		outcome.Line("group."+name, "%s %s %s %v", found.State, found.ProtocolType, found.Protocol, found.AssignedPartitions().Sorted())
		outcome.Line("group."+name+".commit", "%s", outcome.Result(first.CommitRecords(context.Background(), &kgo.Record{Topic: topic, Partition: 0, Offset: 2, LeaderEpoch: 0})))
		first.Close()
	}
	return nil
}

func administration(admin *kadm.Client) error {
	ctx, cancel := patience()
	defer cancel()
	_, err := admin.CreateTopic(ctx, 1, 1, nil, topic)
	outcome.Line("topic.again", "%s", outcome.Result(err))
	_, err = admin.CreateTopic(ctx, 1, 1, nil, "bad/name")
	outcome.Line("topic.bad-name", "%s", outcome.Result(err))
	_, err = admin.CreateTopic(ctx, 1, 5, nil, "franz-bad")
	outcome.Line("topic.replication", "%s", outcome.Result(err))
	starts, err := admin.ListStartOffsets(ctx, "franz-none")
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, "franz-none")
	if err != nil {
		return err
	}
	after, err := admin.ListOffsetsAfterMilli(ctx, 1_600_000_000_100, "franz-none")
	if err != nil {
		return err
	}
	outcome.Line("offsets", "%d %d %d", starts["franz-none"][0].Offset, ends["franz-none"][0].Offset, after["franz-none"][0].Offset)
	committed, err := admin.FetchOffsets(ctx, "franz-range")
	if err != nil {
		return err
	}
	found, _ := committed.Lookup(topic, 0)
	outcome.Line("group.committed", "%d", found.At)
	lag, err := admin.Lag(ctx, "franz-range")
	if err != nil {
		return err
	}
	outcome.Line("group.lag", "%s", lag["franz-range"].State)
	deleted, err := admin.DeleteRecords(ctx, kadm.Offsets{"franz-none": {0: {Topic: "franz-none", Partition: 0, At: 50}}})
	if err != nil {
		return err
	}
	outcome.Line("records.deleted", "%d %v", deleted["franz-none"][0].LowWatermark, deleted["franz-none"][0].Err)
	gone, err := admin.DeleteGroups(ctx, "franz-range", "franz-no-such-group")
	if err != nil {
		return err
	}
	outcome.Line("group.deleted", "%v %v", gone["franz-range"].Err, gone["franz-no-such-group"].Err)
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	outcome.Line("configs", "%d", len(configs[0].Configs))
	brokers, err := admin.ListBrokers(ctx)
	if err != nil {
		return err
	}
	outcome.Line("brokers", "%v", brokers.NodeIDs())
	removed, err := admin.DeleteTopics(ctx, "franz-shapes", "franz-no-such-topic")
	if err != nil {
		return err
	}
	outcome.Line("topic.deleted", "%v %v", removed["franz-shapes"].Err, removed["franz-no-such-topic"].Err)
	return nil
}

func transactions() error {
	producer := client(kgo.TransactionalID("franz-transaction"), kgo.AllowAutoTopicCreation())
	defer producer.Close()
	if err := producer.BeginTransaction(); err != nil {
		return err
	}
	err := send(producer, &kgo.Record{Topic: "franz-transactional", Value: []byte("v")})
	outcome.Line("transaction.send", "%s", outcome.Result(err))
	if err == nil {
		ctx, cancel := patience()
		defer cancel()
		outcome.Line("transaction.commit", "%s", outcome.Result(producer.EndTransaction(ctx, kgo.TryCommit)))
	}
	return nil
}

func secured() error {
	authority, err := os.ReadFile(os.Getenv("SSL_CA"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	secure := []kgo.Opt{kgo.SeedBrokers(outcome.SSLBootstrap()...), kgo.DialTLSConfig(&tls.Config{RootCAs: pool})}
	producer := client(append(secure, kgo.AllowAutoTopicCreation())...)
	defer producer.Close()
	if err := send(producer, values(100, "franz-tls")...); err != nil {
		return err
	}
	got, err := read("franz-tls", 100, secure...)
	if err != nil {
		return err
	}
	outcome.Line("tls", "%s", digest(got))
	return nil
}

func main() {
	admin := kadm.NewClient(client())
	outcome.Section("topic", func() error {
		created, err := admin.CreateTopic(context.Background(), 4, -1, nil, topic)
		outcome.Line("topic", "%d %d %v", created.NumPartitions, created.ReplicationFactor, created.Err)
		return err
	})
	outcome.Section("codecs", func() error { return codecs(admin) })
	outcome.Section("acknowledgements", acknowledgements)
	outcome.Section("shapes", shapes)
	outcome.Section("large", func() error { return large(admin) })
	outcome.Section("partitioning", partitioning)
	outcome.Section("groups", func() error { return groups(admin) })
	outcome.Section("administration", func() error { return administration(admin) })
	outcome.Section("transactions", transactions)
	outcome.Section("tls", secured)
}
