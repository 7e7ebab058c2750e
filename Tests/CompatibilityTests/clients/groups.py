"""Groups of consumers of several libraries, whose members come, go and die: groups.py --program DMQ --directory D
[--seconds N] [--seed S] [--strategy eager|cooperative] [--protocol classic|consumer|mixed] [--kill-broker].

A producer with acks=all writes to several partitions all the time. Members are processes of their own: confluent-kafka,
kafka-python and aiokafka in one group; some leave in order, some are killed, others come. Each says what it was given
before it commits it. In the end every record has been given to somebody, and at no time had a committed offset gone
back. With --protocol consumer the members are of the protocol of KIP-848, with mixed some are, so that the group
changes its protocol as they come and go.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import admin

from kill import PATIENCE_SECONDS, Broker

TOPIC, GROUP, PARTITIONS = "numbers", "readers", 6
SESSION_MS, HEARTBEAT_MS = 6000, 500
SETTINGS = ["group.initial.rebalance.delay.ms=200"] + [
    f"group.consumer.{bound}{name}" for bound in ("min.", "")
    for name in (f"session.timeout.ms={SESSION_MS}", f"heartbeat.interval.ms={HEARTBEAT_MS}")]


# Members: each writes "partition offset" for every record, "+ partitions" and "- partitions" for what it is assigned.


def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")


def flush():
    sys.stdout.flush()


class Stopping:
    def __init__(self):
        self.is_set = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.is_set = True


def confluent_settings(options):
    settings = {
        "bootstrap.servers": options.bootstrap, "group.id": GROUP, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "socket.timeout.ms": 5000}
    if options.instance:
        settings["group.instance.id"] = options.instance
    if options.member == "confluent-consumer":
        # The broker sets the times.
        return settings | {"group.protocol": "consumer"}
    strategy = "cooperative-sticky" if options.strategy == "cooperative" else "range,roundrobin"
    return settings | {
        "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": HEARTBEAT_MS,
        "partition.assignment.strategy": strategy}


def confluent_member(options, stopping):
    # A static member of the consumer protocol that was killed is told to wait until its session is over, which ends
    # the client.
    while not stopping.is_set and not confluent_consumer(options, stopping):
        time.sleep(0.5)


def confluent_consumer(options, stopping):
    consumer = confluent_kafka.Consumer(confluent_settings(options))
    # What was read and is not committed: tried again until it is, or somebody else has the partition. No other
    # commit would follow when the last records were read just before the broker was killed.
    ends = {}

    def tell(sign):
        def told(_, partitions):
            say(sign, *sorted(p.partition for p in partitions))
            flush()
            for partition in partitions:
                ends.pop(partition.partition, None)
        return told

    consumer.subscribe([TOPIC], on_assign=tell("+"), on_revoke=tell("-"), on_lost=tell("-"))
    while not stopping.is_set:
        taken = consumer.consume(200, 0.2)
        if any(m.error() is not None and m.error().fatal() for m in taken):
            consumer.close()
            return False
        messages = [m for m in taken if m.error() is None]
        for message in messages:
            say(message.partition(), message.offset())
            ends[message.partition()] = message.offset() + 1
        flush()
        if not ends:
            continue
        try:
            consumer.commit(
                offsets=[confluent_kafka.TopicPartition(TOPIC, p, o) for p, o in ends.items()],
                asynchronous=False)
            ends.clear()
        except confluent_kafka.KafkaException as error:
            if error.args[0].fatal():
                consumer.close()
                return False
    consumer.close()
    return True


def kafka_python_member(options, stopping):
    import kafka
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.errors import KafkaError
    strategy = [RangePartitionAssignor]
    if options.strategy == "cooperative":
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
        strategy = [CooperativeStickyAssignor]
    consumer = kafka.KafkaConsumer(
        TOPIC, bootstrap_servers=options.bootstrap, group_id=GROUP, auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=SESSION_MS, heartbeat_interval_ms=HEARTBEAT_MS,
        partition_assignment_strategy=strategy)
    is_behind = False
    while not stopping.is_set:
        try:
            batches = consumer.poll(timeout_ms=200, max_records=200)
            for partition, records in batches.items():
                for record in records:
                    say(partition.partition, record.offset)
            flush()
            is_behind = is_behind or bool(batches)
            if is_behind:
                consumer.commit()
                is_behind = False
        except KafkaError:
            pass
    consumer.close(autocommit=False)


def aiokafka_member(options, stopping):
    import aiokafka
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.errors import KafkaError

    ends = {}

    class Listener(aiokafka.ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            ends.clear()

        def on_partitions_assigned(self, assigned):
            pass

    async def run():
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=options.bootstrap, group_id=GROUP, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=SESSION_MS, heartbeat_interval_ms=HEARTBEAT_MS,
            partition_assignment_strategy=[RangePartitionAssignor])
        consumer.subscribe([TOPIC], listener=Listener())
        await consumer.start()
        while not stopping.is_set:
            try:
                batches = await consumer.getmany(timeout_ms=200, max_records=200)
                for partition, records in batches.items():
                    for record in records:
                        say(partition.partition, record.offset)
                    ends[partition] = records[-1].offset + 1
                flush()
                if ends:
                    await consumer.commit(ends)
                    ends.clear()
            except (KafkaError, ValueError):
                pass
        await consumer.stop()

    asyncio.run(run())


MEMBERS = {
    "confluent": confluent_member, "confluent-consumer": confluent_member,
    "kafka-python": kafka_python_member, "aiokafka": aiokafka_member}


class Member:
    """A process, and what it has said."""

    def __init__(self, library, options, bootstrap, instance=""):
        self.library = library
        self.instance = instance
        self.seen = []
        self.changes = []
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.abspath(__file__), "--member", library, "--bootstrap", bootstrap,
             "--strategy", options.strategy, "--instance", instance],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            if not line.endswith("\n"):
                return
            if words[0] in "+-":
                self.changes.append(line.strip())
            else:
                self.seen.append((int(words[0]), int(words[1])))

    def end(self, number):
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()


class Load(threading.Thread):
    """Writes to all partitions; knows how many records each has in the end."""

    def __init__(self, bootstrap):
        super().__init__()
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
            "delivery.timeout.ms": 300000})
        self.is_stopping = False
        self.acknowledged = [set() for _ in range(PARTITIONS)]

    def told(self, error, message):
        if error is None:
            self.acknowledged[message.partition()].add(message.offset())

    def run(self):
        number = 0
        while not self.is_stopping:
            for _ in range(20):
                self.producer.produce(TOPIC, f"{number}".encode(), partition=number % PARTITIONS, callback=self.told)
                number += 1
            self.producer.poll(0)
            time.sleep(0.02)
        self.producer.flush(60)


class Watch(threading.Thread):
    """Looks at the committed offsets all the time."""

    def __init__(self, bootstrap):
        super().__init__()
        # Without recovery: where all brokers are down, librdkafka 2.16 begins anew from the bootstrap addresses, and
        # requests to a coordinator go on waiting for the connection that it has given up (its issue 5511).
        self.admin = admin.AdminClient({"bootstrap.servers": bootstrap, "metadata.recovery.strategy": "none"})
        self.is_stopping = False
        self.committed = [-1] * PARTITIONS
        self.went_back = []

    def look(self):
        asked = confluent_kafka.ConsumerGroupTopicPartitions(
            GROUP, [confluent_kafka.TopicPartition(TOPIC, p) for p in range(PARTITIONS)])
        try:
            answer = self.admin.list_consumer_group_offsets([asked], request_timeout=10)[GROUP].result()
        except confluent_kafka.KafkaException:
            return
        for partition in answer.topic_partitions:
            offset = max(partition.offset, -1)
            before = self.committed[partition.partition]
            if offset < before:
                self.went_back.append((partition.partition, before, offset))
            self.committed[partition.partition] = offset

    def run(self):
        while not self.is_stopping:
            self.look()
            time.sleep(0.1)


def make_topic(bootstrap):
    client = admin.AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([admin.NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()


def torture(options):
    generator = random.Random(options.seed)
    libraries = ["confluent", "kafka-python", "aiokafka"]
    if options.strategy == "cooperative":
        libraries = ["confluent", "kafka-python"]
    if options.protocol == "consumer":
        libraries = ["confluent-consumer"]
    elif options.protocol == "mixed":
        libraries.insert(0, "confluent-consumer")
    broker = Broker(options.program, options.directory, SETTINGS)
    broker.start()
    make_topic(broker.bootstrap)
    load, watch = Load(broker.bootstrap), Watch(broker.bootstrap)
    load.start()
    watch.start()
    members, gone = [], []

    def come(library=None, instance=""):
        members.append(Member(library or generator.choice(libraries), options, broker.bootstrap, instance))

    def go(member, number):
        members.remove(member)
        member.end(number)
        gone.append(member)

    counts = {"come": 0, "leave": 0, "killed": 0, "restarted": 0, "broker": 0}
    for library in libraries:
        come(library)
    static = libraries[0]
    come(static, "static")
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline:
        time.sleep(generator.uniform(0.2, 3))
        chance = generator.random()
        member = generator.choice(members)
        if chance < 0.4 and len(members) < 7 or len(members) < 2:
            come()
            counts["come"] += 1
        elif chance < 0.6:
            go(member, signal.SIGTERM)
            counts["leave"] += 1
        elif chance < 0.85 or not options.kill_broker:
            go(member, signal.SIGKILL)
            counts["killed"] += 1
        else:
            broker.kill()
            broker.start()
            counts["broker"] += 1
        if member.instance and member not in members:
            come(static, member.instance)
            counts["restarted"] += 1
    load.is_stopping = True
    load.join()
    while len(members) < 3:
        come()
    ends = [max(one, default=-1) + 1 for one in load.acknowledged]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while watch.committed != ends and time.monotonic() < deadline:
        time.sleep(0.2)
    watch.is_stopping = True
    watch.join()
    for member in list(members):
        go(member, signal.SIGTERM)
    status = broker.stop()
    judge(options, load, watch, gone, ends, counts)
    assert status == 0, f"the broker ended with status {status}"


def judge(options, load, watch, members, ends, counts):
    given = [set() for _ in range(PARTITIONS)]
    total = 0
    by_library = dict.fromkeys(MEMBERS, 0)
    for member in members:
        for partition, offset in member.seen:
            given[partition].add(offset)
            total += 1
            by_library[member.library] += 1
    missing = [sorted(load.acknowledged[p] - given[p])[:5] for p in range(PARTITIONS)]
    records = sum(len(one) for one in load.acknowledged)
    print(f"{options.protocol}, {options.strategy}: {records} records, {total} given, {by_library}, {counts}, committed {watch.committed}")
    assert not any(missing), f"never given to anybody: {missing}"
    assert not watch.went_back, f"committed offsets went back: {watch.went_back[:5]}"
    assert watch.committed == ends, f"committed {watch.committed} of {ends}"


def static_members(options):
    """A static member that is killed and comes back is assigned the same, and the others hear nothing of it."""
    broker = Broker(options.program, options.directory, ["group.initial.rebalance.delay.ms=1000"])
    broker.start()
    make_topic(broker.bootstrap)
    first = Member("confluent", options, broker.bootstrap, "one")
    second = Member("confluent", options, broker.bootstrap, "two")

    def wait(condition, what):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {first.changes} {second.changes}"
            time.sleep(0.05)

    def assigned(member):
        return len(member.changes[-1].split()) == 1 + PARTITIONS // 2 if member.changes else False

    wait(lambda: assigned(first) and assigned(second), "no assignment")
    before, share = list(second.changes), first.changes[-1]
    for _ in range(3):
        first.end(signal.SIGKILL)
        first = Member("confluent", options, broker.bootstrap, "one")
        wait(lambda: first.changes, "no assignment after the restart")
        assert first.changes == [share], f"{first.changes} instead of {share}"
    time.sleep(1)
    assert second.changes == before, f"the other heard of it: {second.changes}"
    first.end(signal.SIGTERM)
    second.end(signal.SIGTERM)
    assert broker.stop() == 0
    print("static members: 3 restarts, no rebalance")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program")
    parser.add_argument("--directory")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategy", choices=["eager", "cooperative"], default="eager")
    parser.add_argument("--protocol", choices=["classic", "consumer", "mixed"], default="classic")
    parser.add_argument("--kill-broker", action="store_true")
    parser.add_argument("--static", action="store_true", help="only restarts of static members")
    parser.add_argument("--member", choices=MEMBERS)
    parser.add_argument("--bootstrap")
    parser.add_argument("--instance", default="")
    options = parser.parse_args()
    # Who started us may have blocked signals, and members are told to leave by one.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if options.member:
        return MEMBERS[options.member](options, Stopping())
    if options.static:
        return static_members(options)
    torture(options)


if __name__ == "__main__":
    main()
