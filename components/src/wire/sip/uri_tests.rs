//! URIs, good and bad, and the same seen by sipx.

use super::*;
use crate::record::{from_bytes, to_bytes};
use proptest::prelude::*;

fn uri(text: &str) -> Uri {
    Uri::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn the_parts_are_found() {
    let full = uri("SIP:j%40doe;day=tue:pw@Example.COM:5070;transport=TCP;lr?subject=x");
    assert_eq!(full.user().unwrap(), "j@doe;day=tue");
    assert_eq!((full.host(), full.port(), full.ip()), (Bytes::from("Example.COM"), Some(5070), None));
    assert_eq!((full.transport().unwrap(), full.has_lr(), full.has_headers()), ("TCP".into(), true, true));
    let bare = uri("sips:192.0.2.7");
    assert_eq!((bare.user(), bare.ip(), bare.is_sips()), (None, "192.0.2.7".parse().ok(), true));
    let tel = uri("tel:+1-201-555-0123;phone-context=x");
    assert_eq!((tel.user().unwrap(), tel.scheme(), tel.host()), ("+1-201-555-0123".into(), Scheme::Tel, "".into()));
    assert_eq!(uri("soap.beep://192.0.2.103:3002").scheme(), Scheme::Other);
    assert_eq!(uri("sip:null-%00-null@h").user().unwrap(), b"null-\0-null".as_slice());
    assert_eq!(uri("sip:[2001:db8:::192.0.2.1]").ip(), "2001:db8::192.0.2.1".parse().ok());
    assert_eq!(uri("sip:h?a=b;c").port(), None);
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip:",
        "sip",
        ":a@b",
        "1ip:a",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:70000",
        "sip:a@h:5x",
        "sip:[::1",
        "sip:[zz]",
        "sip:[1.2.3.4]",
        "sip:a b@h",
        "<sip:a@h>",
        "sip:a%4@h",
        "sip:a%zz@h",
        "sip:h;;lr",
        "sip:a@h;",
        "sip:a@h/x",
        "tel:",
        "sip:h\u{e9}",
        "sip:a@b@c",
    ] {
        assert!(Uri::parse(Bytes::copy_from_slice(text.as_bytes())).is_err(), "{text}");
    }
    assert!(Uri::parse(format!("sip:{}@h", "a".repeat(70_000)).into()).is_err());
}

#[test]
fn a_detached_uri_is_the_same_text_elsewhere() {
    let one = uri("sip:a@b");
    let two = one.detached();
    assert_eq!(one, two);
    assert_ne!(one.as_bytes().as_ptr(), two.as_bytes().as_ptr());
}

proptest! {
    #[test]
    fn any_bytes_parse_or_fail(bytes: Vec<u8>) {
        let _ = Uri::parse(bytes.into());
    }

    /// What sipx takes for a SIP URI we take too, and we find the same parts in it.
    #[test]
    fn we_agree_with_sipx(text in "(sip|sips|Sip):([a-z0-9%41;=&+$,?/!_.~*'()-]{1,9}(:[a-z]{0,4})?@)?[a-zA-Z0-9.:\\[\\]-]{1,12}(:[0-9]{1,6})?(;[a-z=]{1,6}){0,3}(\\?[a-z=&]{1,8})?") {
        let ours = Uri::parse(Bytes::copy_from_slice(text.as_bytes()));
        if let Ok(theirs) = sipx_sip::Uri::parse(Bytes::copy_from_slice(text.as_bytes())) {
            let ours = ours.unwrap();
            prop_assert_eq!(ours.user().map(|user| user.to_vec()), theirs.decoded_user());
            prop_assert_eq!(ours.port(), theirs.port());
            match theirs.host() {
                Some(sipx_sip::Host::Ip(ip)) => prop_assert_eq!(ours.ip(), Some(*ip)),
                host => prop_assert_eq!(Some(ours.host()), host.map(|host| host.to_bytes())),
            }
            prop_assert_eq!(ours.has_headers(), theirs.has_headers());
            prop_assert_eq!(from_bytes::<Uri>(&to_bytes(&ours)).unwrap(), ours);
        }
    }
}
