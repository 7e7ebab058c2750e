"""Checks of a broker by real clients: checks.py --list, or checks.py NAME --bootstrap HOST:PORT.

Prints one line a step and ends with status 0 when all held. The checks of one name use topics of their own, so
that several may run against one broker at once.
"""

import argparse
import asyncio
import subprocess
import sys
import time
import traceback

import confluent_kafka
import kafka
import kafka.admin
import kafka.errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewPartitions as AIONewPartitions
from aiokafka.admin import NewTopic as AIONewTopic
from confluent_kafka import admin as confluent_admin
from records import CLIENTS, CODECS, PATIENCE_SECONDS, AIOKafka, Confluent, KafkaPython, Kcat, Record, compare

CHECKS = {}


def check(function):
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


def say(text):
    print(f"ok: {text}", flush=True)


def confluent_admin_client(bootstrap):
    return confluent_admin.AdminClient({"bootstrap.servers": bootstrap})


def create(bootstrap, topic, partitions=1, **settings):
    # The records of the checks are of the year 2023: retention would take them away.
    settings = {"retention_ms": -1, **settings}
    config = {name.replace("_", "."): str(value) for name, value in settings.items()}
    client = confluent_admin_client(bootstrap)
    new = confluent_admin.NewTopic(topic, partitions, 1, config=config)
    client.create_topics([new])[topic].result(PATIENCE_SECONDS)


def refused(code, action):
    """The error code that Kafka gives must come, and nothing else."""
    try:
        action()
    except confluent_kafka.KafkaException as error:
        assert error.args[0].code() == code, f"{error.args[0]} is not error {code}"
        return error.args[0].str()
    raise AssertionError(f"not refused with error {code}")


def eventually(what, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
    say(what)


def codec_check(codec):
    def run(bootstrap):
        for seed, writer in enumerate(CLIENTS):
            topic = f"codec-{codec}-{writer.name}"
            create(bootstrap, topic)
            expected = writer.assorted(300, seed)
            writer.produce(bootstrap, topic, expected, codec)
            for reader in CLIENTS:
                compare(reader.consume(bootstrap, topic, len(expected)), expected, writer, reader)
                say(f"{codec}: {writer.name} wrote, {reader.name} read")

    return run


for each in CODECS:
    CHECKS[f"codec-{each}"] = codec_check(each)


@check
def metadata(bootstrap):
    create(bootstrap, "metadata-one", 3)
    listed = confluent_admin_client(bootstrap).list_topics(timeout=PATIENCE_SECONDS)
    assert len(listed.topics["metadata-one"].partitions) == 3
    assert listed.controller_id in listed.brokers and listed.cluster_id
    say("confluent lists topics, brokers, the controller and the cluster's ID")
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    assert "metadata-one" in consumer.topics()
    assert consumer.partitions_for_topic("metadata-one") == {0, 1, 2}
    consumer.close()
    say("kafka-python lists topics")
    done = subprocess.run(["kcat", "-L", "-J", "-b", bootstrap], capture_output=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0 and b'"metadata-one"' in done.stdout, done.stderr
    say("kcat lists topics")


@check
def auto_creation(bootstrap):
    records = [Record(b"k", b"v", (), int(time.time() * 1000))]
    for client in CLIENTS:
        topic = f"made-by-{client.name}"
        client.produce(bootstrap, topic, records)
        assert len(client.consume(bootstrap, topic, 1)) == 1
        say(f"{client.name} produced to a topic that was not there")


@check
def large_records(bootstrap):
    create(bootstrap, "large")
    expected = []
    for writer in [Confluent(), KafkaPython(), AIOKafka()]:
        mine = [Record(b"k", bytes([65 + index]) * 900_000, (), 1_700_000_000_000) for index in range(3)]
        writer.produce(bootstrap, "large", mine)
        expected += mine
    for reader in CLIENTS:
        compare(reader.consume(bootstrap, "large", len(expected)), expected, Confluent(), reader)
        say(f"{reader.name} read records of 900,000 bytes")


@check
def large_record_above_the_limit(bootstrap):
    create(bootstrap, "limited", max_message_bytes=10_000)
    producer = Confluent().producer(bootstrap, **{"message.max.bytes": 2_000_000})
    errors = []
    producer.produce("limited", b"x" * 20_000, on_delivery=lambda error, _: errors.append(error))
    producer.produce("limited", b"x" * 2_000, on_delivery=lambda error, _: errors.append(error))
    producer.flush(PATIENCE_SECONDS)
    codes = sorted(error.code() if error else 0 for error in errors)
    # Both may travel in one batch, which is then refused as a whole.
    assert confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE in codes, errors
    Confluent().produce(bootstrap, "limited", [Record(b"k", b"small")])
    say("a record above max.message.bytes is refused, others are taken")


@check
def idempotent_producers(bootstrap):
    for writer, settings in [
        (Confluent(), {"enable.idempotence": True}),
        (KafkaPython(), {"enable_idempotence": True}),
        (AIOKafka(), {"enable_idempotence": True}),
    ]:
        topic = f"idempotent-{writer.name}"
        create(bootstrap, topic)
        expected = [Record(None, b"%d" % index, (), 1_700_000_000_000) for index in range(20_000)]
        writer.produce(bootstrap, topic, expected, "none", **settings)
        compare(Confluent().consume(bootstrap, topic, len(expected)), expected, writer, Confluent())
        say(f"{writer.name} wrote {len(expected)} records, each once and in order")


@check
def acknowledgements(bootstrap):
    create(bootstrap, "acks")
    written = 0
    for acks in ["0", "1", "all"]:
        Confluent().produce(bootstrap, "acks", [Record(None, b"v")] * 100, acks=acks)
        KafkaPython().produce(
            bootstrap, "acks", [Record(None, b"v")] * 100, acks=acks if acks == "all" else int(acks),
            enable_idempotence=False,
        )
        written += 200
        say(f"acks={acks}")
    assert len(Confluent().consume(bootstrap, "acks", written)) == written


@check
def resuming(bootstrap):
    create(bootstrap, "resuming")
    expected = [Record(b"k", b"%d" % index, (), 1_700_000_000_000) for index in range(1000)]
    Confluent().produce(bootstrap, "resuming", expected)
    for reader in CLIENTS:
        found = reader.consume(bootstrap, "resuming", 400)
        found += reader.consume(bootstrap, "resuming", 600, offset=len(found))
        compare(found, expected, Confluent(), reader)
        say(f"{reader.name} stopped after 400 of 1,000 records and went on from there")


@check
def offsets_by_time(bootstrap):
    create(bootstrap, "times")
    start = 1_700_000_000_000
    Confluent().produce(bootstrap, "times", [Record(None, b"v", (), start + index * 10) for index in range(5000)])
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    for wanted, offset in [(start, 0), (start + 1, 1), (start + 25_000, 2500), (start + 49_990, 4999)]:
        place = confluent_kafka.TopicPartition("times", 0, wanted)
        assert consumer.offsets_for_times([place], PATIENCE_SECONDS)[0].offset == offset
    low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition("times", 0), PATIENCE_SECONDS)
    assert (low, high) == (0, 5000)
    consumer.close()
    say("confluent finds offsets by time, the first and the last")
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    place = kafka.TopicPartition("times", 0)
    found = consumer.offsets_for_times({place: start + 25_000, kafka.TopicPartition("times", 0): start + 25_000})
    assert found[place].offset == 2500
    assert consumer.offsets_for_times({place: start + 60_000})[place] is None
    assert consumer.beginning_offsets([place])[place] == 0 and consumer.end_offsets([place])[place] == 5000
    consumer.close()
    say("kafka-python finds offsets by time, the first and the last")
    latest = confluent_admin.OffsetSpec.max_timestamp()
    client = confluent_admin_client(bootstrap)
    place = confluent_kafka.TopicPartition("times", 0)
    result = client.list_offsets({place: latest})[place].result(PATIENCE_SECONDS)
    assert result.offset == 4999, result.offset
    say("confluent finds the record with the largest timestamp")


@check
def refusals(bootstrap):
    client = confluent_admin_client(bootstrap)
    error = confluent_kafka.KafkaError

    def make(topic, partitions=1, replicas=1, **config):
        new = confluent_admin.NewTopic(topic, partitions, replicas, config=config)
        return lambda: client.create_topics([new])[topic].result(PATIENCE_SECONDS)

    make("refusals")()
    say(refused(error.TOPIC_ALREADY_EXISTS, make("refusals")))
    say(refused(error.TOPIC_EXCEPTION, make("not a name")))
    say(refused(error.TOPIC_EXCEPTION, make("n" * 250)))
    say(refused(error.INVALID_PARTITIONS, make("no-partitions", 0)))
    say(refused(error.INVALID_REPLICATION_FACTOR, make("replicas", 1, 3)))
    say(refused(error.INVALID_CONFIG, make("bad-config", **{"retention.ms": "soon"})))
    say(refused(error.INVALID_CONFIG, make("bad-config", **{"retention.mss": "1"})))
    delete = lambda topic: lambda: client.delete_topics([topic])[topic].result(PATIENCE_SECONDS)  # noqa: E731
    say(refused(error.UNKNOWN_TOPIC_OR_PART, delete("nobody-made-this")))
    more = confluent_admin.NewPartitions("refusals", 1)
    grow = lambda: client.create_partitions([more])["refusals"].result(PATIENCE_SECONDS)  # noqa: E731
    say(refused(error.INVALID_PARTITIONS, grow))

    settings = {"bootstrap.servers": bootstrap, "group.id": "none", "auto.offset.reset": "error"}
    settings["allow.auto.create.topics"] = False
    consumer = confluent_kafka.Consumer(settings)
    consumer.assign([confluent_kafka.TopicPartition("refusals", 0, 77)])
    message = consumer.poll(PATIENCE_SECONDS)
    assert message and message.error().code() == error._AUTO_OFFSET_RESET, message and message.error()
    say("an offset outside of the log is refused")
    listed = consumer.list_topics("nobody-made-this", PATIENCE_SECONDS).topics["nobody-made-this"]
    assert listed.error and listed.error.code() == error.UNKNOWN_TOPIC_OR_PART, listed.error
    consumer.close()
    say("a topic that is not there is refused")


@check
def admin_by_confluent(bootstrap):
    client = confluent_admin_client(bootstrap)
    topic = "admin-confluent"
    create(bootstrap, topic, 2, retention_ms=3_600_000, cleanup_policy="compact")
    resource = confluent_admin.ConfigResource(confluent_admin.ConfigResource.Type.TOPIC, topic)

    def settings():
        return client.describe_configs([resource])[resource].result(PATIENCE_SECONDS)

    assert settings()["retention.ms"].value == "3600000" and settings()["cleanup.policy"].value == "compact"
    assert settings()["segment.bytes"].is_default and not settings()["retention.ms"].is_default
    say("describes settings")
    change = confluent_admin.ConfigResource(confluent_admin.ConfigResource.Type.TOPIC, topic)
    operation = confluent_admin.AlterConfigOpType
    change.add_incremental_config(confluent_admin.ConfigEntry("retention.ms", "7200000", incremental_operation=operation.SET))
    change.add_incremental_config(confluent_admin.ConfigEntry("cleanup.policy", "delete", incremental_operation=operation.APPEND))
    client.incremental_alter_configs([change])[change].result(PATIENCE_SECONDS)
    assert settings()["retention.ms"].value == "7200000" and settings()["cleanup.policy"].value == "compact,delete"
    say("changes settings one by one")
    client.create_partitions([confluent_admin.NewPartitions(topic, 5)])[topic].result(PATIENCE_SECONDS)
    assert len(client.list_topics(topic, PATIENCE_SECONDS).topics[topic].partitions) == 5
    say("adds partitions")
    Confluent().produce(bootstrap, topic, [Record(b"k", b"v")] * 10)
    place = confluent_kafka.TopicPartition(topic, 0, 4)
    deleted = client.delete_records([place])[place].result(PATIENCE_SECONDS)
    assert deleted.low_watermark == 4
    assert len(Kcat().consume(bootstrap, topic, 6, offset="beginning")) == 6
    say("deletes records")
    cluster = client.describe_cluster().result(PATIENCE_SECONDS)
    assert cluster.cluster_id and len(cluster.nodes) == 1
    described = client.describe_topics(confluent_kafka.TopicCollection([topic]))[topic].result(PATIENCE_SECONDS)
    assert len(described.partitions) == 5 and str(described.topic_id)
    say("describes the cluster and topics")
    broker = confluent_admin.ConfigResource(confluent_admin.ConfigResource.Type.BROKER, str(cluster.nodes[0].id))
    found = client.describe_configs([broker])[broker].result(PATIENCE_SECONDS)
    assert found["log.segment.bytes"].value and "node.id" in found
    say("describes the broker's settings")
    client.delete_topics([topic])[topic].result(PATIENCE_SECONDS)
    eventually("deletes topics", lambda: topic not in client.list_topics(timeout=PATIENCE_SECONDS).topics)


@check
def admin_by_kafka_python(bootstrap):
    client = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    topic = "admin-kafka-python"
    client.create_topics([kafka.admin.NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])
    assert topic in client.list_topics()
    say("creates and lists topics")
    resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, topic)
    assert "retention.ms" in str(client.describe_configs([resource]))
    change = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, topic, {"retention.ms": "-1", "max.message.bytes": "7200000"})
    client.alter_configs([change])
    assert "7200000" in str(client.describe_configs([resource]))
    say("describes and changes settings")
    client.create_partitions({topic: kafka.admin.NewPartitions(4)})
    assert len(client.describe_topics([topic])[0]["partitions"]) == 4
    say("adds partitions")
    KafkaPython().produce(bootstrap, topic, [Record(b"k", b"v")] * 10)
    client.delete_records({kafka.TopicPartition(topic, 0): 3})
    assert len(KafkaPython().consume(bootstrap, topic, 7, offset=3)) == 7
    say("deletes records")
    assert client.describe_cluster()["brokers"]
    assert topic in str(client.describe_log_dirs())
    say("describes the cluster and log directories")
    client.delete_topics([topic])
    eventually("deletes topics", lambda: topic not in client.list_topics())
    client.close()


@check
def admin_by_aiokafka(bootstrap):
    async def run():
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await client.start()
        try:
            topic = "admin-aiokafka"
            await client.create_topics([AIONewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
            assert topic in await client.list_topics()
            await client.create_partitions({topic: AIONewPartitions(3)})
            described = await client.describe_topics([topic])
            assert len(described[0]["partitions"]) == 3
            assert (await client.describe_cluster())["brokers"]
            say("creates, grows, lists and describes topics and the cluster")
            await client.delete_topics([topic])
            for _ in range(PATIENCE_SECONDS * 10):
                if topic not in await client.list_topics():
                    break
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("the topic is still there")
            say("deletes topics")
        finally:
            await client.close()

    asyncio.run(run())


@check
def compaction(bootstrap):
    create(
        bootstrap, "compacted", cleanup_policy="compact", segment_bytes=100_000, segment_ms=1000,
        min_cleanable_dirty_ratio=0.01,
    )
    writer, last = Confluent(), {}
    for lap in range(20):
        records = [Record(b"key-%d" % key, b"%d-" % lap + b"x" * 500, (), 0) for key in range(100)]
        writer.produce(bootstrap, "compacted", records)
        last.update({record.key: record.value for record in records})
    # A later record rolls the segment with the last lap.
    time.sleep(1.5)
    writer.produce(bootstrap, "compacted", [Record(b"end", b"end")])

    def remaining():
        found = read_all(bootstrap, "compacted")
        values = {record.key: record.value for record in found if record.key != b"end"}
        assert values == last, "a key has lost its last value"
        return len(found)

    eventually("old values of keys are gone, the last are there", lambda: remaining() < 1000)


@check
def retention(bootstrap):
    create(bootstrap, "retained", segment_bytes=50_000, retention_bytes=150_000)
    records = [Record(None, b"%06d" % index + b"x" * 1000) for index in range(1000)]
    Confluent().produce(bootstrap, "retained", records, **{"batch.size": 10_000})
    eventually("the oldest records are gone", lambda: 50 < len(read_all(bootstrap, "retained")) < 500)
    assert read_all(bootstrap, "retained")[-1].value.startswith(b"000999")
    say("the newest are there")


def read_all(bootstrap, topic):
    """From the first to the last record that are there now, by kcat, which ends by itself."""
    command = ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-p", "0", "-o", "beginning"]
    command += ["-f", "%T %K %S\n%k%s\n%h\n"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    return list(Kcat.parse(done.stdout))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?", choices=sorted(CHECKS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    options = parser.parse_args()
    if options.list or not options.name:
        print("\n".join(sorted(CHECKS)))
        return
    try:
        CHECKS[options.name](options.bootstrap)
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        sys.exit(1)


if __name__ == "__main__":
    main()
