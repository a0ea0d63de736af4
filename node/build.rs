//! Builds the node again when the page was built again.

fn main() {
    println!("cargo:rerun-if-changed=ui/dist");
}
