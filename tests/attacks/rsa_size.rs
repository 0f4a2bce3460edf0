//! Keys that anybody can factor, or that make the program fail in other ways.

use crate::common::Dir;
use crate::ssh_low_order::put_key;

#[test]
fn nothing_is_encrypted_to_an_rsa_key_that_can_be_factored() {
    let dir = Dir::new();
    dir.write("plain", "secret");
    for (name, bits) in [("rsa_512.pem", 512), ("rsa_680.pem", 680), ("ssh_rsa_1024", 1024)] {
        put_key(&dir, name);
        let run = dir.command(&["encrypt", "-i", name, "plain", "out"]);
        dir.fails(run, 78, &[name, &format!("{bits} bits"), "2048"]);
        let run = dir.command(&["keygen", "-y", name]);
        dir.fails(run, 78, &[name, &format!("{bits} bits")]);
    }
}

#[test]
fn identities_of_unusual_sizes_decrypt_and_do_not_panic() {
    let dir = Dir::new();
    dir.write("plain", "secret");
    let public = put_key(&dir, "ssh_rsa_8192");
    for encrypted in ["a.age", "a.enc"] {
        dir.run(&["encrypt", "plain", encrypted, "-r", public.trim()]).ok();
        dir.run(&["decrypt", encrypted, "out", "--force", "-i", "ssh_rsa_8192"]).ok();
        assert_eq!(dir.read("out"), b"secret");
    }
    dir.run(&["decrypt", "a.age", "again", "-i", "ssh_rsa_8192"]).ok();
    for name in ["rsa_512.pem", "rsa_680.pem", "ssh_rsa_1024"] {
        put_key(&dir, name);
        let run = dir.command(&["decrypt", "-i", name, "a.age", "out2"]);
        dir.fails(run, 77, &["no key fits"]);
    }
}
