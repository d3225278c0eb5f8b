//! `sys/seal-tree`: the expression and its leaves.

use crate::custody::{LeafStatus, SealTree};
use strongroom_mount::Object;
use strongroom_mount::json::Writer;

/// How much the caller may see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Anybody, while unsealed: names and states.
    Outline,
    /// Anybody, while sealed: also what went wrong, since nobody can prove anything now and somebody must repair it.
    Sealed,
    /// A caller with the right to: also devices, generations and times.
    Full,
}

/// The envelope's data.
pub fn answer(tree: &SealTree, sight: Sight) -> Object {
    Object::build(|out| {
        out.string("expression", &tree.expression);
        out.value("satisfied", &tree.satisfied);
        if let Some(needed) = &tree.needed {
            out.string("needed", needed);
        }
        out.objects("leaves", tree.leaves.iter(), |out, leaf| write(out, leaf, sight));
    })
}

fn write(out: &mut Writer, leaf: &LeafStatus, sight: Sight) {
    out.string("name", &leaf.name);
    out.string("kind", leaf.kind.name());
    out.value("healthy", &leaf.healthy);
    out.value("satisfied", &leaf.satisfied);
    if sight != Sight::Outline {
        out.value("last_error", &leaf.last_error);
    }
    if let Some((entered, threshold)) = leaf.shares {
        out.object("shares", |out| {
            out.value("entered", &entered);
            out.value("threshold", &threshold);
        });
    }
    if sight == Sight::Full {
        out.value("generation", &leaf.generation);
        out.value("last_success", &leaf.last_success.map(|moment| moment.to_string()));
        out.object("device", |out| {
            if let Some((text, id)) = &leaf.device {
                out.string("id", id);
                out.string("text", text);
            }
        });
    }
}
