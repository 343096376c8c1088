use super::*;

#[test]
fn is_small() {
    assert!(size_of::<Device>() <= 160, "{}", size_of::<Device>());
    assert!(size_of::<Effects>() <= 40, "{}", size_of::<Effects>());
}
