//! Buffers that differ in nothing: only one order of them is worth trying.

use crate::instance::Instance;

/// Finds for each item the one before it that differs in nothing.
pub fn twins(instance: &Instance) -> Vec<Option<u32>> {
    let items = &instance.items;
    let mut order: Vec<u32> = (0..).zip(items).map(|(number, _)| number).collect();
    let key = |number: u32| {
        let item = &items[number as usize];
        (item.hull.first, item.hull.end, item.size, item.alignment, number)
    };
    order.sort_by_key(|&number| key(number));
    let mut twins = vec![None; items.len()];
    for pair in order.windows(2) {
        let (a, b) = (&items[pair[0] as usize], &items[pair[1] as usize]);
        let alike = a.spans() == b.spans() && a.size == b.size && a.alignment == b.alignment;
        if alike && a.pinned.is_none() && b.pinned.is_none() {
            twins[pair[1] as usize] = Some(pair[0]);
        }
    }
    twins
}
