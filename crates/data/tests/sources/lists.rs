//! Images that a list names: iNaturalist's JSON, Pascal VOC's XML.

use std::fs;

use e2mc_data::Photo;
use e2mc_data::decode::DecodeLimits;
use e2mc_data::source::{INaturalist2018, ImageSource, Presence, Voc2007};

use crate::{golden, write};

#[test]
fn inaturalist_json() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "train_val2018/Aves/7/a.jpg",
        &golden("grey.jpg"),
    );
    let json = dir.path().join("train2018.json");
    let open = |text: &str| {
        fs::write(&json, text).unwrap();
        INaturalist2018::open(dir.path(), &json, DecodeLimits::default())
    };
    let good = r#"{"info": {"year": 2018}, "licenses": [],
        "images": [{"id": 5, "file_name": "train_val2018/Aves/7/a.jpg", "width": 1, "height": 1,
                     "license": 3},
                   {"id": 2, "file_name": "train_val2018/Aves/3/b.jpg", "width": 1, "height": 1,
                     "license": 3}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 3},
                        {"id": 0, "image_id": 5, "category_id": 7}],
        "categories": [{"id": 7, "name": "7", "supercategory": "Aves"},
                       {"id": 3, "name": "3", "supercategory": "Aves"}]}"#;
    let source = open(good).unwrap();
    assert_eq!(source.labels().unwrap(), [1, 0]);
    assert_eq!(source.classes(), ["3", "7"]);
    let mut photo = Photo::default();
    source.read(0, &mut photo).unwrap();
    assert!(
        source
            .read(1, &mut photo)
            .unwrap_err()
            .to_string()
            .contains("b.jpg")
    );
    for (text, found) in [
        (
            good.replace("\"category_id\": 7", "\"category_id\": 8"),
            "category 8",
        ),
        (
            good.replace("\"image_id\": 5", "\"image_id\": 2"),
            "several categories of image 2",
        ),
        (
            good.replace("\"image_id\": 5", "\"image_id\": 6"),
            "no category of image 5",
        ),
        (good.replace("\"id\": 7", "\"id\": 3"), "category 3 twice"),
        (
            good.replace("train_val2018/Aves/7/a.jpg", "../a.jpg"),
            "leads out",
        ),
        (
            good.replace("train_val2018/Aves/7/a.jpg", "/etc/passwd"),
            "leads out",
        ),
        (good[..200].into(), "EOF"),
        ("[]".into(), "expected the JSON list of iNaturalist"),
    ] {
        let message = open(&text).unwrap_err().to_string();
        assert!(
            message.contains(found) && message.contains("train2018.json"),
            "{message}"
        );
    }
}

#[test]
fn pascal_voc_keeps_difficult_objects_apart() {
    let dir = tempfile::tempdir().unwrap();
    let object = |name: &str, difficult: u8| {
        format!(
            "<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult>\
             <part><name>head</name></part></object>"
        )
    };
    let annotation =
        |objects: &str| format!("<annotation><filename>x</filename>{objects}</annotation>");
    let both =
        object("dog", 1) + &object("dog", 0) + &object("person", 1) + &object("tvmonitor", 0);
    write(
        dir.path(),
        "Annotations/000005.xml",
        annotation(&both).as_bytes(),
    );
    write(
        dir.path(),
        "Annotations/000007.xml",
        annotation("").as_bytes(),
    );
    write(
        dir.path(),
        "JPEGImages/000005.jpg",
        &golden("baseline_444.jpg"),
    );
    write(
        dir.path(),
        "ImageSets/Main/trainval.txt",
        b"000005\n000007\n",
    );
    let open = || Voc2007::open(dir.path(), "trainval", DecodeLimits::default());
    let voc = open().unwrap();
    let class = |name: &str| {
        voc.classes()
            .iter()
            .position(|class| class == name)
            .unwrap()
    };
    let first = voc.presence()[0];
    assert_eq!(first[class("dog")], Presence::Present);
    assert_eq!(first[class("person")], Presence::Difficult);
    assert_eq!(first[class("tvmonitor")], Presence::Present);
    assert_eq!(
        first
            .iter()
            .filter(|found| **found == Presence::Absent)
            .count(),
        17
    );
    assert_eq!(voc.presence()[1], [Presence::Absent; 20]);
    assert_eq!(voc.labels(), None);
    assert_eq!(voc.image_name(1), "JPEGImages/000007.jpg");
    voc.read(0, &mut Photo::default()).unwrap();

    for (xml, found) in [
        (annotation(&object("dragon", 0)), "dragon"),
        (annotation("<object><pose/></object>"), "without a name"),
        ("<annotation>".into(), "000007.xml"),
        ("<html/>".into(), "<html>"),
    ] {
        write(dir.path(), "Annotations/000007.xml", xml.as_bytes());
        let message = open().unwrap_err().to_string();
        assert!(
            message.contains(found) && message.contains("000007.xml"),
            "{message}"
        );
    }
    write(
        dir.path(),
        "ImageSets/Main/trainval.txt",
        b"../../etc/passwd\n",
    );
    assert!(open().unwrap_err().to_string().contains("trainval.txt"));
}
