use std::sync::Arc;

use super::*;
use crate::memory::{HeapWords, Ordering};
use crate::slot::WorkerId;

const ONE: WorkerId = WorkerId::new(1);
const TWO: WorkerId = WorkerId::new(2);

fn queue(capacity: usize) -> (Arc<HeapWords>, Producer<Arc<HeapWords>>) {
    let layout = QueueLayout::new(capacity).unwrap();
    let memory = Arc::new(HeapWords::new(layout.words()));
    (memory.clone(), Producer::new(memory, layout).unwrap())
}

fn consumer(producer: &Producer<Arc<HeapWords>>, worker: WorkerId) -> Consumer<Arc<HeapWords>> {
    Consumer::new(producer.memory.clone(), producer.layout(), worker).unwrap()
}

impl Producer<Arc<HeapWords>> {
    fn publish_next(&mut self, number: u64) -> usize {
        let slot = self.free_slot().unwrap();
        self.publish(slot, &[number; TASK_WORDS], Bytes::Absent);
        slot
    }
}

#[test]
fn a_task_goes_round() {
    let (_, mut producer) = queue(4);
    let worker = consumer(&producer, ONE);
    assert!(worker.claim().is_none());
    for number in 0..20 {
        let slot = producer.publish_next(number);
        assert_eq!(slot as u64, number % 4, "the queue is circular");
        assert_eq!(producer.task(slot), Some(&[number; TASK_WORDS]));
        let mut claim = worker.claim().unwrap();
        assert_eq!((claim.slot(), claim.attempt(), claim.is_loaded()), (slot, 0, false));
        assert_eq!(claim.task(), &[number; TASK_WORDS]);
        assert_eq!(producer.done(slot).unwrap(), None);
        claim.mark_loaded().unwrap();
        assert!(claim.is_loaded());
        claim.mark_loaded().unwrap();
        claim.complete(&[number + 1; RESULT_WORDS]).unwrap();
        let completed = producer.first_done().unwrap().unwrap();
        assert_eq!((completed.slot(), completed.worker(), completed.attempt()), (slot, ONE, 0));
        assert_eq!(completed.result(), &[number + 1; RESULT_WORDS]);
        producer.retire(completed);
        assert_eq!((producer.outstanding(), producer.task(slot)), (0, None));
        assert_eq!(producer.done(slot).unwrap(), None);
    }
}

#[test]
fn tasks_are_collected_in_any_order_and_in_order() {
    let (_, mut producer) = queue(3);
    let worker = consumer(&producer, ONE);
    for number in 0..3 {
        producer.publish_next(number);
    }
    assert_eq!(producer.free_slot(), None);
    let mut claims: Vec<_> = (0..3).map(|_| worker.claim().unwrap()).collect();
    assert!(worker.claim().is_none());
    let mut last = claims.pop().unwrap();
    last.mark_loaded().unwrap();
    last.complete(&[0; RESULT_WORDS]).unwrap();

    let oldest = producer.oldest().unwrap();
    assert_eq!((oldest, producer.done(oldest).unwrap()), (0, None));
    let completed = producer.first_done().unwrap().unwrap();
    assert_eq!(completed.slot(), 2);
    producer.retire(completed);
    assert_eq!(producer.free_slot(), Some(2));
    assert_eq!(producer.publish_next(3), 2);
    assert_eq!(producer.oldest(), Some(0));
}

#[test]
fn what_the_dead_held_comes_back() {
    let (_, mut producer) = queue(4);
    let (one, two) = (consumer(&producer, ONE), consumer(&producer, TWO));
    for number in 0..4 {
        producer.publish_next(number);
    }
    let claimed = one.claim().unwrap();
    let mut loaded = one.claim().unwrap();
    loaded.mark_loaded().unwrap();
    let mut done = one.claim().unwrap();
    done.mark_loaded().unwrap();
    done.complete(&[9; RESULT_WORDS]).unwrap();

    let held = producer.recover(ONE).unwrap();
    let expected = [
        HeldTask { slot: 0, attempt: 1, bytes: Bytes::Absent },
        HeldTask { slot: 1, attempt: 1, bytes: Bytes::Present },
    ];
    assert_eq!(held, expected);
    assert_eq!(producer.recover(ONE).unwrap(), []);
    assert_eq!(producer.recover(TWO).unwrap(), []);
    assert_eq!((producer.attempts(0), producer.attempts(3)), (1, 0));

    // Redone tasks come first, and loaded ones stay loaded.
    let again = two.claim().unwrap();
    assert_eq!((again.slot(), again.attempt(), again.is_loaded()), (0, 1, false));
    let again = two.claim().unwrap();
    assert_eq!((again.slot(), again.attempt(), again.is_loaded()), (1, 1, true));

    // A worker that was considered dead is refused, even if the word looks similar.
    let mut claimed = claimed;
    assert_eq!(claimed.mark_loaded(), Err(TaskRevoked));
    assert_eq!(loaded.complete(&[7; RESULT_WORDS]), Err(TaskRevoked));
    assert_eq!(producer.first_done().unwrap().map(|done| done.slot()), Some(2));

    // After a second death the task is still loaded.
    let held = producer.recover(TWO).unwrap();
    assert_eq!(held[1], HeldTask { slot: 1, attempt: 2, bytes: Bytes::Present });
    again.complete(&[0; RESULT_WORDS]).unwrap_err();
}

#[test]
fn a_late_comer_cannot_touch_the_next_generation() {
    let (_, mut producer) = queue(1);
    let one = consumer(&producer, ONE);
    producer.publish_next(0);
    let mut late = one.claim().unwrap();
    late.mark_loaded().unwrap();
    producer.recover(ONE).unwrap();
    let redo = one.claim().unwrap();
    redo.complete(&[1; RESULT_WORDS]).unwrap();
    let completed = producer.first_done().unwrap().unwrap();
    producer.retire(completed);
    producer.publish_next(1);
    let mut next = one.claim().unwrap();
    next.mark_loaded().unwrap();
    assert_eq!(next.generation(), late.generation() + 1);
    assert_eq!(late.complete(&[66; RESULT_WORDS]), Err(TaskRevoked));
    next.complete(&[2; RESULT_WORDS]).unwrap();
    let completed = producer.first_done().unwrap().unwrap();
    assert_eq!(completed.result(), &[2; RESULT_WORDS]);
}

#[test]
fn bytes_that_main_has_loaded_are_loaded() {
    let (_, mut producer) = queue(1);
    producer.publish(0, &[0; TASK_WORDS], Bytes::Present);
    let worker = consumer(&producer, ONE);
    let claim = worker.claim().unwrap();
    assert!(claim.is_loaded());
    claim.complete(&[0; RESULT_WORDS]).unwrap();
}

#[test]
fn main_works_too() {
    let (_, mut producer) = queue(2);
    producer.publish_next(5);
    let own = consumer(&producer, WorkerId::MAIN);
    let mut claim = own.claim_once().unwrap();
    assert!(own.claim_once().is_none());
    claim.mark_loaded().unwrap();
    claim.complete(&[0; RESULT_WORDS]).unwrap();
    assert_eq!(producer.first_done().unwrap().map(|done| done.worker()), Some(WorkerId::MAIN));
}

#[test]
fn scribbling_is_noticed() {
    let (memory, mut producer) = queue(2);
    let slot = producer.publish_next(5);
    let at = producer.layout().word_of(slot);
    let good = memory.word(at).load(Ordering::Relaxed);
    // No such state; another generation; another attempt; free.
    for bits in [u64::MAX, good + 1, good + (1 << 48), good & 0xffff_ffff] {
        memory.word(at).store(bits, Ordering::Relaxed);
        assert_eq!(producer.done(slot), Err(CorruptSlot { slot }));
        assert_eq!(producer.first_done(), Err(CorruptSlot { slot }));
        assert_eq!(producer.recover(ONE), Err(CorruptSlot { slot }));
    }
    // Any value of the hint is harmless.
    memory.word(at).store(good, Ordering::Relaxed);
    memory.word(FRONT).store(u64::MAX, Ordering::Relaxed);
    assert!(consumer(&producer, ONE).claim().is_some());
    // Main ignores the words of slots without a task.
    let at = producer.layout().word_of(1);
    memory.word(at).store(u64::MAX, Ordering::Relaxed);
    assert_eq!(producer.done(1), Ok(None));
    assert_eq!(producer.recover(TWO), Ok(vec![]));
    producer.publish_next(6);
    assert!(consumer(&producer, ONE).claim().is_some());
}

#[test]
fn capacities_have_bounds() {
    assert_eq!(QueueLayout::new(0), Err(QueueLayoutError::Capacity(0)));
    assert_eq!(
        QueueLayout::new(MAX_CAPACITY + 1),
        Err(QueueLayoutError::Capacity(MAX_CAPACITY + 1))
    );
    let layout = QueueLayout::new(3).unwrap();
    let small = QueueLayoutError::Memory { words: layout.words() - 1, needed: layout.words() };
    assert_eq!(Producer::new(HeapWords::new(layout.words() - 1), layout).err(), Some(small));
}

#[test]
#[should_panic(expected = "has a task already")]
fn a_slot_holds_one_task() {
    let (_, mut producer) = queue(1);
    producer.publish(0, &[0; TASK_WORDS], Bytes::Absent);
    producer.publish(0, &[0; TASK_WORDS], Bytes::Absent);
}

#[test]
#[should_panic(expected = "after its bytes were loaded")]
fn a_task_is_not_completed_unloaded() {
    let (_, mut producer) = queue(1);
    producer.publish_next(0);
    let worker = consumer(&producer, ONE);
    let _ = worker.claim().unwrap().complete(&[0; RESULT_WORDS]);
}
