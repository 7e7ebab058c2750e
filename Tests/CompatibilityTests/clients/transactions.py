"""Transactions of several libraries under kills: transactions.py --program DMQ --directory D [--seconds N] [--seed S]
[--libraries confluent,kafka-python,aiokafka] [--no-kill-broker].

Workers read inputs, write what they make of them to one topic, and commit outputs and offsets in one transaction:
confluent-kafka in a group (KIP-447), and every library with partitions of its own. Workers and the broker are killed
at random moments; some transactions are aborted on purpose. Every worker tells when a transaction begins, is committed
and is aborted. In the end a checker goes over what was told and over what readers of committed records have seen:

    exactly once       every input that was acknowledged is in the output once, and nothing else is
    aborted read       nothing is read of a transaction that was aborted
    lost write         everything is read of a transaction that was told to be committed
    torn transaction   of every other transaction, everything or nothing is read
    write cycle        a transaction that began after another was committed stands after it in every partition;
                       the same holds for two of one transactional ID, however they ended
    stable read        what a reader has seen on the way is what is there in the end, in the same order
"""

import argparse
import asyncio
import faulthandler
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

OUTPUT, OUTPUT_PARTITIONS = "output", 3
TIMEOUT_MS = 8000
LIBRARIES = ["confluent", "kafka-python", "aiokafka"]
# Where all brokers are down, librdkafka 2.16 begins anew from the bootstrap addresses, and requests to a coordinator,
# such as TxnOffsetCommit, go on waiting for the connection that it has given up (its issue 5511).
NO_RECOVERY = {"metadata.recovery.strategy": "none"}
# How long librdkafka may take for a call in the midst of a transaction. Then the worker ends, and another comes.
CALL_SECONDS = 15
# How often a worker aborts what it could commit.
ABORT_CHANCE = 0.1
BATCH = 40


def inputs(library):
    """The topics of a library's workers, with the number of partitions."""
    return [(f"input-{library}", 2)] + ([("input-group", 3)] if library == "confluent" else [])


# Workers: each writes "B transaction time", "C transaction time", "A transaction" for what it does.


def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


class Transactions:
    """Names for the transactions of one worker."""

    def __init__(self, name):
        self.name = f"{name}/{os.getpid()}"
        self.count = 0
        self.generator = random.Random(os.getpid())

    def begin(self):
        self.count += 1
        self.current = f"{self.name}/{self.count}"
        say("B", self.current, time.monotonic())

    def committed(self):
        say("C", self.current, time.monotonic())

    def aborting(self):
        say("A", self.current)

    def wants_abort(self):
        return self.generator.random() < ABORT_CHANCE

    def outputs(self, records):
        """Partition and value for each record: which it is of how many of which transaction."""
        for number, (topic, partition, offset) in enumerate(records):
            yield offset % OUTPUT_PARTITIONS, f"{topic} {partition} {offset} {self.current} {len(records)}".encode()


def confluent_worker(options):
    is_group = options.topic == "input-group"
    group = f"{options.topic}-readers"
    name = f"{options.topic}-{options.worker}"
    producer = confluent_kafka.Producer({
        "bootstrap.servers": options.bootstrap, "transactional.id": name, "transaction.timeout.ms": TIMEOUT_MS,
        "linger.ms": 2, "socket.timeout.ms": 5000, **NO_RECOVERY,
        **({"debug": "eos,protocol"} if options.debug else {"log_level": 0})})
    producer.init_transactions(PATIENCE_SECONDS)
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": options.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "isolation.level": "read_committed", "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500, "log_level": 0, "socket.timeout.ms": 5000, **NO_RECOVERY})
    own = [confluent_kafka.TopicPartition(options.topic, options.worker)]

    def rewind():
        places = consumer.assignment() if is_group else own
        for place in consumer.committed(places, PATIENCE_SECONDS) if places else []:
            place.offset = max(place.offset, 0)
            consumer.seek(place)

    if is_group:
        consumer.subscribe([options.topic])
    else:
        start = consumer.committed(own, PATIENCE_SECONDS)[0]
        start.offset = max(start.offset, 0)
        consumer.assign([start])
    transactions = Transactions(name)
    while True:
        messages = [m for m in consumer.consume(BATCH, 0.1) if m.error() is None]
        if not messages:
            continue
        transactions.begin()
        producer.begin_transaction()
        try:
            for partition, value in transactions.outputs([(m.topic(), m.partition(), m.offset()) for m in messages]):
                producer.produce(OUTPUT, value, partition=partition)
            ends = {}
            for message in messages:
                ends[message.partition()] = message.offset() + 1
            producer.send_offsets_to_transaction(
                [confluent_kafka.TopicPartition(options.topic, p, o) for p, o in ends.items()],
                consumer.consumer_group_metadata(), CALL_SECONDS)
            if transactions.wants_abort():
                transactions.aborting()
                producer.abort_transaction(CALL_SECONDS)
                rewind()
                continue
            for attempt in range(4):
                try:
                    producer.commit_transaction(CALL_SECONDS)
                    transactions.committed()
                    break
                except confluent_kafka.KafkaException as error:
                    if attempt == 3 or not error.args[0].retriable():
                        raise
        except confluent_kafka.KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            # Whether a commit that failed was one is not known: aborting says it for the producer only.
            producer.abort_transaction(CALL_SECONDS)
            rewind()


def kafka_python_worker(options):
    import kafka
    from kafka.errors import KafkaError
    name = f"{options.topic}-{options.worker}"
    group = f"{options.topic}-readers"
    place = kafka.TopicPartition(options.topic, options.worker)
    producer = kafka.KafkaProducer(
        bootstrap_servers=options.bootstrap, transactional_id=name, transaction_timeout_ms=TIMEOUT_MS, linger_ms=2,
        retry_backoff_ms=20, max_block_ms=PATIENCE_SECONDS * 1000)
    producer.init_transactions()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=options.bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
        isolation_level="read_committed")
    consumer.assign([place])

    def rewind():
        consumer.seek(place, consumer.committed(place) or 0)

    rewind()
    transactions = Transactions(name)
    while True:
        records = consumer.poll(timeout_ms=100, max_records=BATCH).get(place, [])
        if not records:
            continue
        transactions.begin()
        producer.begin_transaction()
        try:
            sent = [
                producer.send(OUTPUT, value, partition=partition) for partition, value in transactions.outputs(
                    [(r.topic, r.partition, r.offset) for r in records])]
            producer.send_offsets_to_transaction(
                {place: kafka.OffsetAndMetadata(records[-1].offset + 1, "", -1)}, group)
            for one in sent:
                one.get(PATIENCE_SECONDS)
            if transactions.wants_abort():
                transactions.aborting()
                producer.abort_transaction()
                rewind()
                continue
        except KafkaError:
            transactions.aborting()
            producer.abort_transaction()
            rewind()
            continue
        # A commit that fails ends the worker: the next one finds out what became of it.
        producer.commit_transaction()
        transactions.committed()


def aiokafka_worker(options):
    import aiokafka
    from aiokafka.errors import KafkaError
    name = f"{options.topic}-{options.worker}"
    group = f"{options.topic}-readers"
    place = aiokafka.TopicPartition(options.topic, options.worker)

    async def run():
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=options.bootstrap, transactional_id=name, transaction_timeout_ms=TIMEOUT_MS,
            linger_ms=2, retry_backoff_ms=20)
        await producer.start()
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=options.bootstrap, group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, isolation_level="read_committed")
        await consumer.start()
        consumer.assign([place])

        async def rewind():
            consumer.seek(place, await consumer.committed(place) or 0)

        await rewind()
        transactions = Transactions(name)
        while True:
            records = (await consumer.getmany(place, timeout_ms=100, max_records=BATCH)).get(place, [])
            if not records:
                continue
            transactions.begin()
            await producer.begin_transaction()
            try:
                sent = [
                    await producer.send(OUTPUT, value, partition=partition)
                    for partition, value in transactions.outputs([(r.topic, r.partition, r.offset) for r in records])]
                for one in sent:
                    await one
                await producer.send_offsets_to_transaction({place: records[-1].offset + 1}, group)
                if transactions.wants_abort():
                    transactions.aborting()
                    await producer.abort_transaction()
                    await rewind()
                    continue
            except KafkaError:
                transactions.aborting()
                await producer.abort_transaction()
                await rewind()
                continue
            await producer.commit_transaction()
            transactions.committed()

    asyncio.run(run())


WORKERS = {"confluent": confluent_worker, "kafka-python": kafka_python_worker, "aiokafka": aiokafka_worker}


class Worker:
    """A process that is started again whenever it ends, and what all of its lives have told."""

    def __init__(self, library, topic, number, options, bootstrap, history):
        self.command = [
            sys.executable, "-B", os.path.abspath(__file__), "--library", library, "--topic", topic,
            "--worker", str(number), "--bootstrap", bootstrap] + (["--debug"] if options.debug else [])
        self.history = history
        self.errors = open(f"{options.directory}.{topic}-{number}.log", "ab")
        self.is_stopping = False
        self.ends = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.reader = threading.Thread(target=self.read, args=[self.process])
        self.reader.start()

    def read(self, process):
        for line in process.stdout:
            if line.endswith("\n"):
                self.history.take(line.split())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def look(self):
        """A worker that has ended by itself was fenced, or has met an error that it cannot pass."""
        if self.process.poll() is not None:
            self.reader.join()
            self.ends += 1
            self.start()

    def stop(self, is_behind):
        # One that stands still says in its log where.
        if is_behind and self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
        self.kill()
        self.errors.close()


class History:
    """What workers have told of transactions."""

    def __init__(self):
        self.lock = threading.Lock()
        self.begun = {}
        self.committed = {}
        self.aborted = set()

    def take(self, words):
        with self.lock:
            if words[0] == "B":
                self.begun[words[1]] = float(words[2])
            elif words[0] == "C":
                self.committed[words[1]] = float(words[2])
            elif words[0] == "A":
                self.aborted.add(words[1])


class Load(threading.Thread):
    """Writes inputs; knows which were acknowledged."""

    def __init__(self, bootstrap, topics):
        super().__init__()
        self.topics = topics
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
            "delivery.timeout.ms": 300000, "log_level": 0})
        self.is_stopping = False
        self.acknowledged = set()

    def told(self, error, message):
        if error is None:
            self.acknowledged.add((message.topic(), message.partition(), message.offset()))

    def run(self):
        number = 0
        while not self.is_stopping:
            for topic, partitions in self.topics:
                for partition in range(partitions):
                    self.producer.produce(topic, f"{number}".encode(), partition=partition, callback=self.told)
            number += 1
            self.producer.poll(0)
            time.sleep(0.02)
        self.left = self.producer.flush(PATIENCE_SECONDS)


class Reader(threading.Thread):
    """Reads committed outputs, from the first on."""

    def __init__(self, bootstrap):
        super().__init__()
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": bootstrap, "group.id": "checker", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0, "auto.offset.reset": "earliest",
            "check.crcs": True, "fetch.wait.max.ms": 100})
        self.consumer.assign([confluent_kafka.TopicPartition(OUTPUT, p, 0) for p in range(OUTPUT_PARTITIONS)])
        self.is_stopping = False
        self.seen = [[] for _ in range(OUTPUT_PARTITIONS)]
        self.count = 0
        self.at_end = set()

    def run(self):
        while not self.is_stopping:
            for message in self.consumer.consume(500, 0.2):
                if message.error() is None:
                    self.seen[message.partition()].append((message.offset(), message.value().decode()))
                    self.count += 1
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    self.at_end.add(message.partition())
        self.consumer.close()


def read_all(bootstrap):
    """Reads all there is, and nothing that comes later."""
    reader = Reader(bootstrap)
    reader.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(reader.at_end) < OUTPUT_PARTITIONS and time.monotonic() < deadline:
        time.sleep(0.1)
    reader.is_stopping = True
    reader.join()
    assert len(reader.at_end) == OUTPUT_PARTITIONS, "the ends of the output are not reached"
    return reader.seen


def torture(options):
    generator = random.Random(options.seed)
    broker = Broker(options.program, options.directory, [
        "group.initial.rebalance.delay.ms=200", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000"])
    broker.start()
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    libraries = options.libraries.split(",")
    topics = [topic for library in libraries for topic in inputs(library)]
    for future in client.create_topics(
            [admin.NewTopic(name, count, 1) for name, count in topics + [(OUTPUT, OUTPUT_PARTITIONS)]]).values():
        future.result()
    history, load, reader = History(), Load(broker.bootstrap, topics), Reader(broker.bootstrap)
    load.start()
    reader.start()
    workers = [
        Worker(library, topic, number, options, broker.bootstrap, history)
        for library in libraries for topic, count in inputs(library) for number in range(count)]
    counts = {"workers killed": 0, "brokers killed": 0}
    deadline = time.monotonic() + options.seconds
    try:
        while time.monotonic() < deadline:
            time.sleep(generator.uniform(0.3, 2.5))
            for worker in workers:
                worker.look()
            if generator.random() < 0.75 or options.no_kill_broker:
                worker = generator.choice(workers)
                worker.kill()
                worker.start()
                counts["workers killed"] += 1
            else:
                broker.kill()
                time.sleep(generator.uniform(0, 0.5))
                broker.start()
                counts["brokers killed"] += 1
        load.is_stopping = True
        load.join()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while reader.count < len(load.acknowledged) and time.monotonic() < deadline:
            time.sleep(0.2)
            for worker in workers:
                worker.look()
    finally:
        load.is_stopping = True
        reader.is_stopping = True
        for worker in workers:
            worker.stop(reader.count < len(load.acknowledged))
    reader.join()
    final = read_all(broker.bootstrap)
    status = broker.stop()
    problems = judge(load, history, reader.seen, final)
    counts["workers that ended"] = sum(worker.ends for worker in workers)
    print(
        f"{len(load.acknowledged)} inputs, {sum(map(len, final))} outputs, {len(history.begun)} transactions begun, "
        f"{len(history.committed)} committed, {len(history.aborted)} aborted; "
        + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for problem in problems[:30]:
        print("PROBLEM:", problem)
    assert not problems, f"{len(problems)} problems"
    assert status == 0, f"the broker ended with status {status}"


# The checker: pure functions of what was told and what was read, so that it can be tried on histories with faults.


def parse(final):
    """Outputs as (partition, offset, input, transaction, size of the transaction)."""
    for partition, records in enumerate(final):
        for offset, value in records:
            topic, number, place, transaction, count = value.split()
            yield partition, offset, (topic, int(number), int(place)), transaction, int(count)


def judge(load, history, live, final):
    return (
        exactly_once(load.acknowledged, final) + outcomes(history, final) + cycles(history, final)
        + stable(live, final))


def exactly_once(acknowledged, final):
    times = {}
    for _, _, one, _, _ in parse(final):
        times[one] = times.get(one, 0) + 1
    lost = [f"input {one} is lost" for one in sorted(acknowledged) if one not in times]
    twice = [f"input {one} is there {count} times" for one, count in sorted(times.items()) if count > 1]
    # An input that was written and not acknowledged is none the less one; of any other place there is none.
    ends = {}
    for topic, partition, offset in acknowledged:
        ends[topic, partition] = max(ends.get((topic, partition), 0), offset)
    strange = [f"output of {one}, which is no input" for one in times if (one[0], one[1]) not in ends]
    return lost + twice + strange


def outcomes(history, final):
    """Aborted reads, lost writes, torn transactions."""
    seen, sizes = {}, {}
    for _, _, _, transaction, count in parse(final):
        seen[transaction] = seen.get(transaction, 0) + 1
        sizes[transaction] = count
    problems = []
    for transaction, count in seen.items():
        if transaction in history.aborted:
            problems.append(f"aborted read: {count} records of {transaction}")
        if transaction not in history.begun:
            problems.append(f"nobody has begun {transaction}")
        if count != sizes[transaction]:
            problems.append(f"torn transaction: {count} of {sizes[transaction]} records of {transaction}")
    for transaction in history.committed:
        if transaction not in seen:
            problems.append(f"lost write: {transaction} was committed")
    return problems


def cycles(history, final):
    """Transactions whose order in a partition is not the order in which they were."""
    problems = []
    spans = [{} for _ in final]
    for partition, offset, _, transaction, _ in parse(final):
        first, last = spans[partition].get(transaction, (offset, offset))
        spans[partition][transaction] = (min(first, offset), max(last, offset))
    for partition, span in enumerate(spans):
        ordered = sorted(span.items(), key=lambda one: one[1][0])
        by_id, latest_begin = {}, []
        for transaction, (first, last) in ordered:
            identifier = transaction.split("/")[0]
            begun = history.begun.get(transaction, 0)
            before = by_id.get(identifier)
            if before and (before[1] > first or before[2] > begun):
                problems.append(f"write cycle in partition {partition}: {before[0]} and {transaction}")
            by_id[identifier] = (transaction, last, begun)
            # Nothing that stands before it began only after it was committed.
            committed = history.committed.get(transaction)
            if committed is not None and latest_begin and latest_begin[-1][0] > committed:
                problems.append(f"write cycle in partition {partition}: {latest_begin[-1][1]} before {transaction}")
            if not latest_begin or begun > latest_begin[-1][0]:
                latest_begin.append((begun, transaction))
    return problems


def stable(live, final):
    problems = []
    for partition, (seen, last) in enumerate(zip(live, final)):
        if seen != last[:len(seen)]:
            place = next((i for i, (a, b) in enumerate(zip(seen, last)) if a != b), min(len(seen), len(last)))
            problems.append(
                f"unstable read in partition {partition}: {seen[place:place + 1]} was seen, then "
                f"{last[place:place + 1]}")
    return problems


def check_checker():
    """The checker finds each fault in a history that has it, and none in one that has none."""
    def history():
        told = History()
        for name, begun, committed in [("a/1/1", 1, 2), ("a/1/2", 3, 4), ("b/2/1", 2.5, None)]:
            told.begun[name] = begun
            if committed:
                told.committed[name] = committed
        told.begun["a/1/3"] = 5
        told.aborted.add("a/1/3")
        return told

    good = [[(0, "i 0 0 a/1/1 2"), (2, "i 0 2 a/1/2 1")], [(0, "i 0 1 a/1/1 2"), (3, "i 1 0 b/2/1 1")]]
    acknowledged = {("i", 0, 0), ("i", 0, 1), ("i", 0, 2), ("i", 1, 0)}

    def found(final=good, live=None, told=acknowledged):
        names = exactly_once(told, final) + outcomes(history(), final) + cycles(history(), final)
        return names + stable(live or [[], []], final)

    assert found() == [], found()
    changed = [list(one) for one in good]
    cases = {
        "is lost": dict(told=acknowledged | {("i", 0, 3)}),
        "2 times": dict(final=[good[0] + [(5, "i 0 2 b/2/1 2")], good[1]]),
        "aborted read": dict(final=[good[0] + [(5, "i 0 3 a/1/3 1")], good[1]]),
        "torn transaction": dict(final=[good[0], good[1][1:]]),
        "lost write": dict(final=[good[0][:1], good[1]]),
        "write cycle": dict(final=[[(0, good[0][1][1]), (2, good[0][0][1])], good[1]]),
        "unstable read": dict(live=[[(1, "x")], []]),
        "no input": dict(final=[good[0] + [(9, "j 0 0 b/2/1 2")], good[1]]),
        "nobody has begun": dict(final=[good[0] + [(9, "i 1 1 c/1/1 1")], good[1]]),
    }
    for name, case in cases.items():
        assert any(name in problem for problem in found(**case)), (name, found(**case))
    assert changed == good
    print(f"the checker finds {len(cases)} faults in {len(cases)} histories")


def main():
    parser = argparse.ArgumentParser()
    for name in ["--program", "--directory", "--library", "--topic", "--bootstrap"]:
        parser.add_argument(name)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--no-kill-broker", action="store_true")
    parser.add_argument("--check-checker", action="store_true")
    parser.add_argument("--debug", action="store_true", help="workers of confluent-kafka write down what they do")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.library:
        faulthandler.register(signal.SIGUSR1)
        WORKERS[options.library](options)
    elif options.check_checker:
        check_checker()
    else:
        check_checker()
        torture(options)


if __name__ == "__main__":
    main()
