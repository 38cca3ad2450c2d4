//! Burn modules whose parameter paths are the names of an official checkpoint.

/// Implements Burn's `Module` for a struct. Unlike the derive, it lets a field have another name in
/// the parameter paths than in Rust, or none (`""`): SwAV's checkpoints have the backbone at the
/// root. The struct is generic over its backbone. Fields after `keep` are not modules.
macro_rules! named_module {
    ($type:ident<$backbone:ident> { $($field:ident: $name:literal),+ $(,)? } keep { $($kept:ident),* $(,)? }) => {
        impl<$backbone: e2mc_resnet::Backbone> burn::module::Module for $type<$backbone> {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                $(let devices = self.$field.collect_devices(devices);)+
                devices
            }

            fn fork(self, device: &burn::tensor::Device) -> Self {
                Self { $($field: self.$field.fork(device),)+ $($kept: self.$kept,)* }
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                Self { $($field: self.$field.to_device(device),)+ $($kept: self.$kept,)* }
            }

            fn train(self) -> Self {
                Self { $($field: self.$field.train(),)+ $($kept: self.$kept,)* }
            }

            fn valid(&self) -> Self {
                Self { $($field: self.$field.valid(),)+ $($kept: self.$kept.clone(),)* }
            }

            fn materialize(self) -> Self {
                Self { $($field: self.$field.materialize(),)+ $($kept: self.$kept,)* }
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                $(
                    if !$name.is_empty() {
                        visitor.enter_module($name, concat!("Struct:", stringify!($type)));
                    }
                    self.$field.visit(visitor);
                    if !$name.is_empty() {
                        visitor.exit_module($name, concat!("Struct:", stringify!($type)));
                    }
                )+
            }

            fn map<M: burn::module::ModuleMapper>(self, mapper: &mut M) -> Self {
                $(
                    if !$name.is_empty() {
                        mapper.enter_module($name, concat!("Struct:", stringify!($type)));
                    }
                    let $field = self.$field.map(mapper);
                    if !$name.is_empty() {
                        mapper.exit_module($name, concat!("Struct:", stringify!($type)));
                    }
                )+
                Self { $($field,)+ $($kept: self.$kept,)* }
            }
        }

        impl<$backbone: e2mc_resnet::Backbone> burn::module::ModuleDisplayDefault
            for $type<$backbone>
        {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                content
                    .set_top_level_type(stringify!($type))
                    $(.add(stringify!($field), &self.$field))+
                    .optional()
            }

            fn num_params(&self) -> usize {
                burn::module::Module::num_params(self)
            }
        }

        impl<$backbone: e2mc_resnet::Backbone> burn::module::ModuleDisplay for $type<$backbone> {}

        impl<$backbone: e2mc_resnet::Backbone> std::fmt::Display for $type<$backbone> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&burn::module::ModuleDisplay::format(self, Default::default()))
            }
        }
    };
}

pub(crate) use named_module;
