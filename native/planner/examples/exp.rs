//! experiment
use condense_planner::{
    Buffer,
    instance::Instance,
    search::{Outcome, Strategy, search},
    skyline::fill_by_worth,
    skyline::{VALUES, Value, fill_valleys},
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
        let t = std::time::Instant::now();
        let mut best = f64::MAX;
        for v in VALUES {
            let a = inst.arena(&fill_valleys(&inst, v)) as f64 / inst.lower_bound as f64;
            println!("  {v:?} {a:.5}");
        }
        for number in 0..std::env::var("V").map_or(0, |k| k.parse().unwrap()) {
            let v = Value::numbered(number);
            let a = inst.arena(&fill_valleys(&inst, v)) as f64 / inst.lower_bound as f64;
            if a < best {
                best = a;
                println!("  {v:?} {a:.5} {:.3}s", t.elapsed().as_secs_f64());
            }
        }
        for (delta, start) in [(0.02, 0u64), (0.1, 0), (0.3, 0), (0.1, 2), (0.1, 11)] {
            let t = std::time::Instant::now();
            let mut random = 12345u64;
            let mut w = if start == 0 { VALUES[0] } else { Value::numbered(start) }.of_all(&inst);
            let mut best = f64::MAX;
            let mut trace = vec![];
            let mut goal = i64::MAX;
            for k in 0..std::env::var("W").map_or(0, |k| k.parse().unwrap()) {
                let o = fill_by_worth(&inst, &w);
                let arena = inst.arena(&o);
                let a = arena as f64 / inst.lower_bound as f64;
                if a < best {
                    best = a;
                    trace.push((k, (a * 1e5).round() / 1e5, t.elapsed().as_secs_f32()));
                    goal = (inst.lower_bound + (arena - inst.lower_bound) * 9 / 10).min(arena - 1);
                    if arena == inst.lower_bound {
                        break;
                    }
                }
                for (i, item) in inst.items.iter().enumerate() {
                    if o[i] + item.size > goal {
                        random = random
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        w[i] += delta * (random >> 40) as f64 / (1u64 << 24) as f64;
                    }
                }
            }
            println!("  SWO {delta} {start} {trace:?}");
        }
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
