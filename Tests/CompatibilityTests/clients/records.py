"""Records that the checks write and expect to read, and the four clients that do it."""

import asyncio
import random
import subprocess
import time
from dataclasses import dataclass, replace

import aiokafka
import confluent_kafka
import kafka
from aiokafka.structs import TopicPartition as AIOTopicPartition
from kafka import TopicPartition as PythonTopicPartition

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Record:
    key: bytes | None
    value: bytes | None
    headers: tuple = ()
    timestamp: int = 0


def assorted(count, seed, text_only=False):
    """Records of every shape: null, empty, short, long, binary keys and values, repeated and null headers."""
    draw = random.Random(seed)
    records = []
    for index in range(count):
        keys = [None, b"", b"key-%d" % index, draw.randbytes(20)]
        values = [None, b"", b"value-%d" % index, draw.randbytes(300), b"x" * draw.randrange(5000)]
        headers = [
            (),
            (("h", b"v"),),
            (("h", b"1"), ("h", b"2")),
            (("empty", b""), ("null", None)),
            (("binary", draw.randbytes(16).replace(b"\n", b"")),),
        ]
        if text_only:
            keys, values, headers = [None, b"key-%d" % index], [b"value-%d" % index], [()]
        records.append(
            Record(
                draw.choice(keys), draw.choice(values), draw.choice(headers), 1_700_000_000_000 + index * 1000
            )
        )
    return records


class Confluent:
    """confluent-kafka: librdkafka."""

    name = "confluent"

    def assorted(self, count, seed):
        return assorted(count, seed)

    def producer(self, bootstrap, **settings):
        return confluent_kafka.Producer({"bootstrap.servers": bootstrap, **settings})

    def produce(self, bootstrap, topic, records, codec="none", **settings):
        failures = []
        producer = self.producer(
            bootstrap, **{"compression.type": codec, "linger.ms": 20, "message.max.bytes": 2_000_000, **settings}
        )
        for record in records:
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers) or None,
                partition=0,
                timestamp=record.timestamp,
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
            producer.poll(0)
        left = producer.flush(PATIENCE_SECONDS)
        assert left == 0 and not failures, f"{left} not delivered, failures {failures[:3]}"

    def consume(self, bootstrap, topic, count, offset=0, partition=0):
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "none",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
            }
        )
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, offset)])
        found, deadline = [], time.monotonic() + PATIENCE_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(count - len(found), 1.0):
                assert message.error() is None, message.error()
                headers = tuple((name, value) for name, value in message.headers() or ())
                found.append(Record(message.key(), message.value(), headers, message.timestamp()[1]))
        consumer.close()
        return found


class KafkaPython:
    name = "kafka-python"

    def assorted(self, count, seed):
        # It refuses to send a header without a value, and a record without a key and a value.
        def possible(record):
            headers = tuple((name, value) for name, value in record.headers if value is not None)
            value = b"" if record.key is None and record.value is None else record.value
            return replace(record, headers=headers, value=value)

        return [possible(record) for record in assorted(count, seed)]

    def produce(self, bootstrap, topic, records, codec="none", **settings):
        producer = kafka.KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            linger_ms=20,
            max_request_size=2_000_000,
            **settings,
        )
        futures = [
            producer.send(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=0,
                timestamp_ms=record.timestamp,
            )
            for record in records
        ]
        producer.flush(PATIENCE_SECONDS)
        for future in futures:
            future.get(PATIENCE_SECONDS)
        producer.close()

    def consume(self, bootstrap, topic, count, offset=0, partition=0):
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="none", enable_auto_commit=False
        )
        place = PythonTopicPartition(topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        found, deadline = [], time.monotonic() + PATIENCE_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            for messages in consumer.poll(timeout_ms=1000, max_records=count - len(found)).values():
                for message in messages:
                    headers = tuple((name, value) for name, value in message.headers)
                    found.append(Record(message.key, message.value, headers, message.timestamp))
        consumer.close()
        return found


class AIOKafka:
    name = "aiokafka"

    def assorted(self, count, seed):
        # It refuses to send a record without a key and a value.
        def possible(record):
            return replace(record, value=b"") if record.key is None and record.value is None else record

        return [possible(record) for record in assorted(count, seed)]

    def produce(self, bootstrap, topic, records, codec="none", **settings):
        async def run():
            producer = aiokafka.AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                compression_type=None if codec == "none" else codec,
                linger_ms=20,
                max_request_size=2_000_000,
                **settings,
            )
            await producer.start()
            try:
                futures = [
                    await producer.send(
                        topic,
                        value=record.value,
                        key=record.key,
                        headers=list(record.headers),
                        partition=0,
                        timestamp_ms=record.timestamp,
                    )
                    for record in records
                ]
                await asyncio.wait_for(asyncio.gather(*futures), PATIENCE_SECONDS)
            finally:
                await producer.stop()

        asyncio.run(run())

    def consume(self, bootstrap, topic, count, offset=0, partition=0):
        async def run():
            consumer = aiokafka.AIOKafkaConsumer(
                bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="none", enable_auto_commit=False
            )
            await consumer.start()
            found, deadline = [], time.monotonic() + PATIENCE_SECONDS
            try:
                place = AIOTopicPartition(topic, partition)
                consumer.assign([place])
                consumer.seek(place, offset)
                while len(found) < count and time.monotonic() < deadline:
                    batches = await consumer.getmany(timeout_ms=1000, max_records=count - len(found))
                    for messages in batches.values():
                        for message in messages:
                            headers = tuple((name, value) for name, value in message.headers)
                            found.append(Record(message.key, message.value, headers, message.timestamp))
            finally:
                await consumer.stop()
            return found

        return asyncio.run(run())


class Kcat:
    """kcat on Debian's librdkafka. What it writes is a line of text; it gives no timestamps and headers."""

    name = "kcat"

    def assorted(self, count, seed):
        return assorted(count, seed, text_only=True)

    def produce(self, bootstrap, topic, records, codec="none", **settings):
        lines = b"".join((record.key or b"") + b"\t" + (record.value or b"") + b"\n" for record in records)
        options = [option for name, value in settings.items() for option in ("-X", f"{name}={value}")]
        command = ["kcat", "-P", "-b", bootstrap, "-t", topic, "-p", "0", "-K", "\t", "-Z", "-z", codec]
        done = subprocess.run(command + options, input=lines, capture_output=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr.decode()

    def consume(self, bootstrap, topic, count, offset=0, partition=0):
        command = ["kcat", "-C", "-q", "-b", bootstrap, "-t", topic, "-p", str(partition), "-o", str(offset)]
        command += ["-c", str(count), "-f", "%T %K %S\n%k%s\n%h\n"]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr.decode()
        return list(self.parse(done.stdout))

    @staticmethod
    def parse(output):
        position = 0
        while position < len(output):
            end = output.index(b"\n", position)
            timestamp, key_count, value_count = (int(part) for part in output[position:end].split())
            position = end + 1
            key = None if key_count < 0 else output[position : position + key_count]
            position += max(key_count, 0)
            value = None if value_count < 0 else output[position : position + value_count]
            # The headers come as text that cannot be told from their values: only whether there are any.
            position = output.index(b"\n", position + max(value_count, 0) + 1) + 1
            yield Record(key, value, (), timestamp)


CLIENTS = [Confluent(), KafkaPython(), AIOKafka(), Kcat()]


def compare(found, expected, writer, reader):
    """What a reader must have read, given what it can tell and what the writer could say."""

    def visible(record):
        shown = [record.key, record.value]
        if reader.name != "kcat":
            shown.append(record.headers)
        if writer.name != "kcat":
            shown.append(record.timestamp)
        return shown

    assert len(found) == len(expected), f"{len(found)} of {len(expected)} records"
    for index, (one, other) in enumerate(zip(found, expected)):
        assert visible(one) == visible(other), f"record {index}: {visible(one)} is not {visible(other)}"
