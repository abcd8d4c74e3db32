//! What Entra and Okta send, and what nobody should.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::people::member::Profile;

/// Jane as she is known: with an address at work, and active.
fn jane() -> Said {
    let body = json!({
        "userName": "jane@acme.example", "externalId": "00u1", "active": true,
        "emails": [{"type": "work", "value": "jane@acme.example", "primary": true}],
    });
    read(&body, None).expect("a user")
}

fn read(body: &Value, before: Option<Said>) -> Result<Said, Fault> {
    whole(body.to_string().as_bytes(), before)
}

/// What becomes of Jane by these operations.
fn patched(operations: &Value) -> Result<Value, Fault> {
    patch(json!({"Operations": operations}).to_string().as_bytes(), jane()).map(|said| shown(&said))
}

fn shown(said: &Said) -> Value {
    let mut shown = serde_json::to_value(&said.profile).expect("JSON");
    shown["active"] = said.active.into();
    shown
}

/// Jane as JSON, with these members in place of her own.
fn with(members: Value) -> Value {
    let mut shown = shown(&jane());
    for (name, value) in members.as_object().expect("an object") {
        shown[name] = value.clone();
    }
    shown
}

#[test]
fn a_leaver_is_inactive_however_it_is_said() {
    let left = with(json!({"active": false}));
    for operations in [
        // Okta: https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20/#update-a-specific-user-patch
        json!([{"op": "replace", "value": {"active": false}}]),
        // Entra, and Entra before its compatibility flag.
        json!([{"op": "replace", "path": "active", "value": false}]),
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
        json!([{"op": "REPLACE", "path": "Active", "value": "false"}]),
        json!([{"op": "Add", "path": "active", "value": [{"$ref": null, "value": "False"}]}]),
        json!([{"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": false}]),
        json!([{"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User": {"active": false}}}]),
        json!([{"op": "replace", "path": null, "value": {"active": "False", "displayName": null}}]),
        // Beside what is not kept here.
        json!([
            {"op": "Replace", "path": "displayName", "value": "Jane D."},
            {"op": "Remove", "path": "name.familyName"},
            {"op": "add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "x"},
            {"op": "replace", "path": "title"},
            {"op": "replace", "path": "emails[type eq", "value": "x"},
            {"op": "Replace", "path": "active", "value": "False"},
        ]),
    ] {
        assert_eq!(patched(&operations), Ok(left.clone()), "{operations}");
    }
}

#[test]
fn null_and_nothing_leave_the_state_as_it_is() {
    for operations in [
        json!([{"op": "replace", "value": {"active": null, "userName": null, "displayName": "J"}}]),
        json!([{"op": "replace", "path": "active", "value": null}]),
        json!([{"op": "add", "path": "nickName", "value": "J"}]),
        json!([{"op": "replace", "value": {}}]),
    ] {
        assert_eq!(patched(&operations), Ok(shown(&jane())), "{operations}");
    }
}

#[test]
fn addresses_change_by_value_paths_and_dotted_keys() {
    let emails = |list: Value| Ok(with(json!({"emails": list})));
    let work = json!({"value": "jane@acme.example", "type": "work", "primary": true});
    let other = json!({"value": "j@acme.example", "type": "work", "primary": true});
    let home = json!({"value": "jane@home.example", "type": "home"});
    for (operations, expected) in [
        (json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "j@acme.example"}]), json!([other])),
        (
            json!([{"op": "replace", "value": {"emails[type eq \"work\"].value": "j@acme.example", "name.givenName": "J",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "x"}}]),
            json!([other]),
        ),
        (json!([{"op": "replace", "path": "emails.value", "value": "j@acme.example"}]), json!([other])),
        (json!([{"op": "replace", "path": "emails[primary eq true].value", "value": "j@acme.example"}]), json!([other])),
        // Entra adds and replaces an address that is not there yet.
        (json!([{"op": "Add", "path": "emails[type eq \"home\"].value", "value": "jane@home.example"}]), json!([work, home])),
        (
            json!([{"op": "Replace", "path": "emails[type eq \"home\"].value", "value": "jane@home.example"}]),
            json!([work, home]),
        ),
        (json!([{"op": "add", "path": "emails", "value": [work, home]}]), json!([work, home])),
        (json!([{"op": "add", "value": {"emails": [home]}}]), json!([work, home])),
        (json!([{"op": "replace", "path": "emails", "value": [home]}]), json!([home])),
        (
            json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "j@acme.example", "primary": "True"}}]),
            json!([other]),
        ),
        (
            json!([{"op": "add", "path": "emails", "value": [{"value": "jane@home.example", "type": "home", "primary": true}]}]),
            json!([{"value": "jane@acme.example", "type": "work", "primary": false}, {"value": "jane@home.example", "type": "home", "primary": true}]),
        ),
        (json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]), json!([work])),
    ] {
        assert_eq!(patched(&operations), emails(expected), "{operations}");
    }
    let mut none = shown(&jane());
    none.as_object_mut().expect("an object").remove("emails");
    for operations in [
        json!([{"op": "remove", "path": "emails"}]),
        json!([{"op": "remove", "path": "emails[type eq \"work\"].value"}]),
        json!([{"op": "Remove", "path": "emails", "value": [{"value": "JANE@acme.example"}]}]),
        json!([{"op": "replace", "path": "emails", "value": null}]),
        json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": null}]),
    ] {
        assert_eq!(patched(&operations), Ok(none.clone()), "{operations}");
    }
}

#[test]
fn a_user_that_okta_puts_keeps_its_state_and_its_id_where_they_are_absent() {
    let left = Said { active: false, ..jane() };
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "somebody-else", "userName": "jane@acme.example",
        "name": {"givenName": "Jane", "familyName": "Doe"}, "emails": [{"primary": true, "value": "j@acme.example", "type": "work"}],
        "groups": [], "password": "secret", "meta": {"resourceType": "User"},
    });
    let read_back = read(&body, Some(left)).expect("a user");
    assert!(!read_back.active, "an absent active is unchanged");
    assert_eq!(read_back.profile.external_id, jane().profile.external_id);
    assert_eq!(read_back.profile.emails.len(), 1);
    assert!(!shown(&read_back).to_string().contains("secret"));
    let said = |active: Value| read(&json!({"userName": "jane", "active": active}), Some(jane())).map(|said| said.active);
    assert_eq!((said(json!("False")), said(json!(false)), said(json!(null))), (Ok(false), Ok(false), Ok(true)));
    let blank = read(&json!({"userName": "jane"}), Some(jane())).expect("a user");
    assert!(blank.profile.emails.is_empty(), "RFC 7644 section 3.5.1: what is left out is empty");
    assert!(read(&json!({"userName": "jane"}), None).expect("a user").active);
}

#[test]
fn what_cannot_be_is_refused_whole() {
    let before = json!({"op": "replace", "path": "userName", "value": "other@acme.example"});
    for (operation, kind) in [
        (json!({"op": "replace", "path": "active", "value": "disabled"}), "Value"),
        (json!({"op": "replace", "path": "active", "value": 0}), "Value"),
        (json!({"op": "replace", "path": "active", "value": [true, false]}), "Value"),
        (json!({"op": "replace", "path": "userName", "value": ""}), "Value"),
        (json!({"op": "replace", "path": "userName", "value": 7}), "Value"),
        (json!({"op": "replace", "path": "userName", "value": "a\u{202e}b"}), "Value"),
        (json!({"op": "replace", "path": "emails", "value": 7}), "Value"),
        (json!({"op": "replace", "path": "emails", "value": [[]]}), "Value"),
        (json!({"op": "replace", "path": "emails[type eq \"work\"].primary", "value": "yes"}), "Value"),
        (json!({"op": "replace", "value": {"active": true, "Active": false}}), "Syntax"),
        (
            json!({"op": "replace", "value": {"active": true, "urn:ietf:params:scim:schemas:core:2.0:User": {"active": false}}}),
            "Syntax",
        ),
        (json!({"op": "add", "path": "emails", "value": {"value": "a", "Value": "b"}}), "Syntax"),
        (json!({"op": "replace", "path": "active"}), "Syntax"),
        (json!({"op": "replace", "value": "x"}), "Syntax"),
        (json!({"op": "replace"}), "Syntax"),
        (json!({"op": "replace", "path": 7, "value": true}), "Syntax"),
        (json!({"op": "move", "path": "active", "value": true}), "Syntax"),
        (json!({"path": "active", "value": true}), "Syntax"),
        (json!({"op": "replace", "OP": "remove", "path": "active", "value": true}), "Syntax"),
        (json!({"op": "remove"}), "Target"),
        (json!({"op": "remove", "path": "active"}), "Mutability"),
        (json!({"op": "remove", "path": "userName"}), "Mutability"),
        (json!("active"), "Syntax"),
    ] {
        let refused = patched(&json!([before, operation])).expect_err("refused");
        assert!(format!("{refused:?}").starts_with(kind), "{operation}: {refused:?}");
    }
    let all = |count: usize| vec![json!({"op": "replace", "path": "active", "value": false}); count];
    assert!(patched(&json!(all(100))).is_ok());
    for operations in [json!(all(101)), json!([]), json!({}), json!(null)] {
        assert_eq!(patched(&operations), Err(OPERATIONS), "{operations}");
    }
    let many = |count: usize| (0..count).map(|n| json!({"value": format!("{n}@acme.example")})).collect::<Vec<_>>();
    assert!(read(&json!({"userName": "jane", "emails": many(20)}), None).is_ok());
    assert!(read(&json!({"userName": "jane", "emails": many(21)}), None).is_err());
    assert!(patched(&json!([{"op": "add", "path": "emails", "value": many(20)}])).is_err(), "one is there already");
    for body in ["", "[]", "null", "{", r#"{"userName":"a","userName":"b"}"#, "{} {}"] {
        assert_eq!(whole(body.as_bytes(), None), Err(OBJECT), "{body}");
    }
    assert!(read(&json!({"active": true}), None).is_err(), "a user without a name");
}

/// Some path or name, ours or not, and some value of any type.
fn operation() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        1 => Just("active"),
        1 => Just("userName"),
        1 => Just("externalId"),
        6 => Just("emails"),
        1 => Just("emails.value"),
        1 => Just("emails[type eq \"work\"].value"),
        1 => Just("emails[primary eq true]"),
        1 => Just("displayName"),
        1 => Just("emails[x"),
        1 => Just("urn:ietf:params:scim:schemas:core:2.0:User"),
        1 => Just("urn:x:2.0:User:active"),
        1 => Just(""),
    ];
    let value = prop_oneof![
        1 => Just(json!(null)),
        1 => Just(json!(true)),
        1 => Just(json!("False")),
        1 => Just(json!("a@b")),
        1 => Just(json!(7)),
        1 => Just(json!([])),
        1 => Just(json!([{"value": "c@d", "type": "work"}])),
        1 => Just(json!({"value": "e@f", "primary": true})),
        6 => Just(json!([{"value": "g@h", "type": "home", "primary": "True"}, {"value": "i@j", "primary": true}])),
        1 => Just(json!({"active": false})),
        1 => Just(json!("\u{202e}")),
    ];
    let op = prop_oneof![8 => Just("add"), 8 => Just("Replace"), 4 => Just("REMOVE"), 1 => Just("move")];
    (op, path, value).prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}))
}

proptest! {
    /// Whatever a source sends: what comes of it is a user that could be stored, read back and sent again, and the same again by a PUT.
    #[test]
    fn every_outcome_is_a_sound_user(operations in proptest::collection::vec(operation(), 1..4)) {
        let body = json!({"Operations": operations}).to_string();
        if let Ok(said) = patch(body.as_bytes(), jane()) {
            prop_assert!(said.profile.emails.iter().filter(|email| email.primary == Some(true)).count() <= 1);
            prop_assert!(said.profile.emails.len() <= 20);
            let again = read(&shown(&said), Some(Said { active: !said.active, ..jane() }));
            let again = again.map(|again| Said { profile: Profile { external_id: said.profile.external_id.clone(), ..again.profile }, ..again });
            prop_assert_eq!(again, Ok(said));
        }
    }

    /// What names nothing of ours changes nothing, and is no reason to refuse.
    #[test]
    fn what_is_unknown_is_dropped(name in "[a-z]{1,12}(\\.[a-z]{1,8}|\\[[a-z \"]{0,12}\\]?)?", value in "[ -~]{0,20}") {
        let known = ["active", "username", "externalid", "emails", "operations"];
        prop_assume!(!known.iter().any(|known| name.to_ascii_lowercase().starts_with(known)));
        for op in ["add", "replace", "remove"] {
            prop_assert_eq!(patched(&json!([{"op": op, "path": name, "value": value}])), Ok(shown(&jane())));
        }
        prop_assert_eq!(patched(&json!([{"op": "replace", "value": {name: value}}])), Ok(shown(&jane())));
    }
}
