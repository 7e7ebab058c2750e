"""Kills a broker under load again and again: kill.py --program DMQ --directory D [--rounds N] [--seed S].

An idempotent producer of librdkafka with acks=all writes numbered records to several partitions all the time, while
the broker is killed at a random moment and started again on the same data and port. In the end every record that
was acknowledged has to be there, none twice, each producer's in the order in which they were sent.

A second producer writes without idempotence: its acknowledged records have to be there, at least once.
"""

import argparse
import random
import socket
import subprocess
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import admin

PARTITIONS = 3
PATIENCE_SECONDS = 120


def free_port():
    """A port that stays free while a broker that was killed starts again: the kernel gives none of these to others."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as bounds:
        first = int(bounds.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, first)
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Broker:
    def __init__(self, program, directory, settings):
        self.port = free_port()
        self.command = [program, "server", "--listen", f"127.0.0.1:{self.port}", "--data-dir", directory]
        for setting in settings:
            self.command += ["--set", setting]
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"the broker ended with status {self.process.returncode}"
                assert time.monotonic() < deadline, "the broker does not listen"
                time.sleep(0.002)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


class Load(threading.Thread):
    """Writes numbered records until told to end; knows which were acknowledged, and where."""

    def __init__(self, bootstrap, topic, name, idempotent):
        super().__init__(daemon=True)
        self.topic, self.label = topic, name
        self.ending = threading.Event()
        self.acknowledged = {}
        self.failed = []
        self.sent = 0
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": idempotent, "linger.ms": 2,
            "message.timeout.ms": PATIENCE_SECONDS * 1000, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50,
            "retry.backoff.ms": 10, "log_level": 0, "compression.type": "lz4" if idempotent else "none",
        })

    def run(self):
        while not self.ending.is_set():
            number = self.sent
            self.sent += 1
            try:
                self.producer.produce(
                    self.topic, b"%s %d %s" % (self.label, number, b"x" * (number % 800)), partition=number % PARTITIONS,
                    on_delivery=lambda error, message, number=number: self.delivered(number, error, message),
                )
            except BufferError:
                self.sent -= 1
                self.producer.poll(0.01)
            self.producer.poll(0)
            if number % 50 == 0:
                time.sleep(0.001)
        assert self.producer.flush(PATIENCE_SECONDS) == 0, "records are neither delivered nor given up"

    def delivered(self, number, error, message):
        if error:
            self.failed.append((number, error))
        else:
            self.acknowledged[number] = (message.partition(), message.offset())


def read_all(bootstrap, topic):
    """The numbers of each label, by partition, in the order of the log."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, "check.crcs": True,
    })
    found = {}
    for partition in range(PARTITIONS):
        place = confluent_kafka.TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(place, PATIENCE_SECONDS)
        consumer.assign([place])
        expected = 0
        while expected < end:
            for message in consumer.consume(min(5000, end - expected), PATIENCE_SECONDS):
                assert not message.error(), message.error()
                assert message.offset() == expected, f"offset {message.offset()} instead of {expected}"
                expected += 1
                label, number, padding = message.value().split(b" ")
                assert len(padding) == int(number) % 800
                found.setdefault(label, {}).setdefault(partition, []).append((int(number), message.offset()))
    consumer.close()
    return found


def check(load, found, exactly_once):
    assert not load.failed, f"{len(load.failed)} records failed: {load.failed[:3]}"
    assert len(load.acknowledged) == load.sent
    partitions = found.get(load.label, {})
    numbers = sorted(number for records in partitions.values() for number, _ in records)
    missing = set(load.acknowledged) - set(numbers)
    assert not missing, f"{len(missing)} acknowledged records of {load.label} are lost: {sorted(missing)[:10]}"
    doubled = len(numbers) - len(set(numbers))
    if exactly_once:
        assert doubled == 0, f"{doubled} records of {load.label} are there twice"
        for partition, records in partitions.items():
            assert records == sorted(records), f"partition {partition} is out of order"
            for number, offset in records:
                place = load.acknowledged[number]
                # After a retry that the broker recognised, the client may not know the offset.
                assert place[0] == partition and place[1] in (offset, -1), (number, offset, place)
    return len(numbers), doubled


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    draw = random.Random(options.seed)
    broker = Broker(options.program, options.directory, options.set)
    broker.start()
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    config = {"segment.bytes": "4000000"}
    new = admin.NewTopic("kills", PARTITIONS, 1, config=config)
    client.create_topics([new])["kills"].result(PATIENCE_SECONDS)
    loads = [Load(broker.bootstrap, "kills", b"idempotent", True), Load(broker.bootstrap, "kills", b"plain", False)]
    for load in loads:
        load.start()
    for number in range(options.rounds):
        time.sleep(draw.uniform(0.02, 0.6))
        broker.kill()
        broker.start()
        if sys.stdout.isatty():
            print(f"\rround {number + 1} of {options.rounds}", end="", flush=True)
    time.sleep(0.2)
    for load in loads:
        load.ending.set()
    for load in loads:
        load.join(PATIENCE_SECONDS)
        assert not load.is_alive(), f"the producer {load.label} does not end"
    found = read_all(broker.bootstrap, "kills")
    for load in loads:
        count, doubled = check(load, found, exactly_once=load.label == b"idempotent")
        print(f"ok: {load.label.decode()}: {len(load.acknowledged)} acknowledged, {count} found, {doubled} twice, "
              f"{options.rounds} kills")
    status = broker.stop()
    assert status == 0, f"the broker stopped with status {status}"


if __name__ == "__main__":
    main()
