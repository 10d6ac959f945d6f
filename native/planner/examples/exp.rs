//! experiment
use condense_planner::{
    Buffer,
    instance::Instance,
    search::{Outcome, Strategy, search},
};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let cap: i64 = args[1].parse().unwrap();
    let budget: u64 = args[2].parse().unwrap();
    for f in &args[3..] {
        let text = std::fs::read_to_string(f).unwrap();
        let buffers: Vec<Buffer> = text
            .lines()
            .skip(1)
            .map(|l| {
                let v: Vec<i64> = l.split(',').map(|x| x.trim().parse().unwrap()).collect();
                Buffer::new(v[1], v[2], v[3])
            })
            .collect();
        let inst = Instance::new(&buffers).unwrap();
        let cap = if cap == 0 { inst.lower_bound } else { cap };
        println!("{f} n {} sections {}", inst.items.len(), inst.load.len());
        let count: usize = std::env::var("K").map_or(20, |k| k.parse().unwrap());
        for number in 0..count {
            let strategy = Strategy::numbered(number);
            let t = std::time::Instant::now();
            let nodes = std::cell::Cell::new(0u64);
            let r = search(&inst, cap, &strategy, budget, &|| {
                nodes.set(nodes.get() + 64);
                std::ops::ControlFlow::Continue(())
            });
            let r = match r {
                Outcome::Solved(o) => {
                    assert!(inst.arena(&o) <= cap);
                    "Solved"
                }
                Outcome::Exhausted => "EXHAUSTED",
                Outcome::Stopped => "-",
            };
            println!(
                "  {:?} {:?} {} {r} nodes ~{} {:.4}s",
                strategy.focus,
                strategy.order,
                strategy.seed,
                nodes.get(),
                t.elapsed().as_secs_f64()
            );
        }
    }
}
