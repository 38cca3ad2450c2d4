//! Any wrappers around a method's names, and any objects beside the weights.

use std::io::{Cursor, Write};

use e2mc_resnet::{Checkpoint, Layout};
use proptest::prelude::*;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

const METHODS: [(Layout, &[&str], &str); 5] = [
    (
        Layout::Swav,
        &[
            "conv1.weight",
            "layer1.0.conv1.weight",
            "projection_head.0.weight",
            "prototypes.weight",
        ],
        "",
    ),
    (
        Layout::VicReg,
        &[
            "backbone.conv1.weight",
            "backbone.layer1.0.conv1.weight",
            "projector.0.weight",
        ],
        "backbone",
    ),
    (
        Layout::SimSiam,
        &[
            "encoder.conv1.weight",
            "encoder.layer1.0.conv1.weight",
            "encoder.fc.0.weight",
            "predictor.0.weight",
        ],
        "encoder",
    ),
    (
        Layout::BarlowTwins,
        &[
            "backbone.conv1.weight",
            "backbone.layer1.0.conv1.weight",
            "bn.running_mean",
            "projector.0.weight",
        ],
        "backbone",
    ),
    (
        Layout::Backbone,
        &["conv1.weight", "layer1.0.conv1.weight", "fc.weight"],
        "",
    ),
];

/// A text in a pickle.
fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// A scalar tensor.
fn tensor() -> Vec<u8> {
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\x00)"[..],
        b")\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

fn weights(names: &[String]) -> Vec<u8> {
    let mut pickle = b"}(".to_vec();
    for name in names {
        pickle.extend(text(name));
        pickle.extend(tensor());
    }
    pickle.push(b'u');
    pickle
}

fn opened(pickle: &[u8]) -> Checkpoint {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("a/data.pkl", pickle),
        ("a/data/0", &1f32.to_le_bytes()[..]),
    ] {
        archive.start_file(name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.pth");
    std::fs::write(&path, archive.finish().unwrap().into_inner()).unwrap();
    Checkpoint::open(&path).unwrap_or_else(|e| panic!("{e}"))
}

fn wrapper() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "backbone.",
        "encoder.",
        "state_dict.",
        "model_state_dict.",
        "network.",
    ])
}

/// One object of a pickle, of any kind.
fn object() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            &b"N"[..],
            b"\x88",
            b"\x89",
            b"K\x05",
            b"M\x05\x06",
            b"J\xff\xff\xff\xff",
            b"\x8a\x0a0123456789",
            b"G\x3f\xf8\x00\x00\x00\x00\x00\x00",
            b"F1.5\n",
            b"I7\n",
            b"L7L\n",
            b"S'old'\n",
            b"Vline\n",
            b"C\x03abc",
            b"B\x03\x00\x00\x00abc",
            b"\x96\x02\x00\x00\x00\x00\x00\x00\x00ab",
            b"\x8c\x01t",
            b"cos\nsystem\n",
            b"\x8c\x02os\x8c\x06system\x93",
            b"\x82\x01",
            b"]",
            b"}",
            b")",
            b"\x8f",
            b"Pname\n",
            b"(ios\nsystem\n",
            b"(cos\nsystem\no",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| [
            &[b'C', bytes.len() as u8],
            bytes.as_slice()
        ]
        .concat()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            many.clone()
                .prop_map(|items| [&b"]("[..], &items.concat(), b"e"].concat()),
            many.clone()
                .prop_map(|items| [&b"("[..], &items.concat(), b"t"].concat()),
            many.clone()
                .prop_map(|items| [&b"\x8f("[..], &items.concat(), b"\x90"].concat()),
            prop::collection::vec((inner.clone(), inner.clone()), 0..5).prop_map(|pairs| {
                let pairs: Vec<u8> = pairs
                    .into_iter()
                    .flat_map(|(k, v)| [k, v].concat())
                    .collect();
                [&b"}("[..], &pairs, b"u"].concat()
            }),
            // A call, a class with arguments and state, and a persistent object.
            many.prop_map(|items| [&b"cos\nsystem\n("[..], &items.concat(), b"tR"].concat()),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| [
                &b"c__main__\nRun\n)\x81"[..],
                &a,
                b"0",
                &b,
                b"b"
            ]
            .concat()),
            inner.prop_map(|a| [&a[..], b"\x942Q0"].concat()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn wrappers_are_taken_off_for_the_whole_method(
        method in 0..METHODS.len(),
        wrappers in prop::collection::vec(wrapper(), 0..6),
        counter in any::<bool>(),
    ) {
        let (layout, names, backbone) = METHODS[method];
        let prefix = wrappers.concat();
        let mut wrapped: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
        if counter && !prefix.is_empty() {
            wrapped.push("n_averaged".into());
        }
        let checkpoint = opened(&[weights(&wrapped), b".".to_vec()].concat());
        prop_assert_eq!(checkpoint.layout(), layout);
        prop_assert_eq!(checkpoint.backbone_prefix().unwrap(), backbone);
        let mut expected: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        expected.sort();
        let found: Vec<String> = checkpoint.tensors().map(|tensor| tensor.name).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn objects_beside_the_weights_do_not_matter(
        objects in prop::collection::vec((object(), object()), 0..8)
    ) {
        let (_, names, _) = METHODS[0];
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut pickle = b"\x80\x02}(".to_vec();
        for (key, value) in objects {
            pickle.extend(key);
            pickle.extend(value);
        }
        pickle.extend(text("state_dict"));
        pickle.extend(weights(&names));
        pickle.extend(b"u.");
        let checkpoint = opened(&pickle);
        prop_assert_eq!(checkpoint.layout(), Layout::Swav);
        prop_assert_eq!(checkpoint.tensors().count(), names.len());
        prop_assert_eq!(checkpoint.outside().len(), 0);
    }
}
