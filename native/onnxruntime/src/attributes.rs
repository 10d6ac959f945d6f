//! Reads a recipe from the attributes of a node.

use std::ffi::{CString, c_char};

use condense_kernels::{Program, Recipe, Reduction, Window};
use ort_sys::{OrtKernelInfo, OrtOpAttrType, OrtShapeInferContext, OrtStatusPtr};

use crate::api::Api;

/// Something that has a node's attributes.
pub trait Attributes {
    /// Returns a list of integers; none if there is no such attribute.
    fn integers(&self, name: &str) -> Option<Vec<i64>>;
    /// Returns an integer; none if there is no such attribute.
    fn integer(&self, name: &str) -> Option<i64>;
    /// Returns a list of numbers; none if there is no such attribute.
    fn floats(&self, name: &str) -> Option<Vec<f32>>;
    /// Returns a text; none if there is no such attribute.
    fn text(&self, name: &str) -> Option<String>;
}

/// Attributes as they are seen when a kernel is made.
pub struct KernelAttributes(*const OrtKernelInfo);

impl KernelAttributes {
    /// Wraps what ONNX Runtime passes.
    ///
    /// # Safety
    /// The pointer is valid for as long as the result is used.
    pub unsafe fn new(info: *const OrtKernelInfo) -> Self {
        Self(info)
    }

    fn list<T: Clone + Default>(
        &self,
        name: &str,
        read: unsafe extern "system" fn(
            *const OrtKernelInfo,
            *const c_char,
            *mut T,
            *mut usize,
        ) -> OrtStatusPtr,
    ) -> Option<Vec<T>> {
        let name = CString::new(name).ok()?;
        let mut size = 0;
        // SAFETY: without a list, only its size is written.
        let sized = unsafe { read(self.0, name.as_ptr(), std::ptr::null_mut(), &raw mut size) };
        Api::get().check(sized).ok()?;
        let mut values = vec![T::default(); size];
        // SAFETY: the list has the size that was asked for.
        let status = unsafe { read(self.0, name.as_ptr(), values.as_mut_ptr(), &raw mut size) };
        Api::get().check(status).ok()?;
        Some(values)
    }
}

impl Attributes for KernelAttributes {
    fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.list(name, Api::get().table().KernelInfoGetAttributeArray_int64)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        let name = CString::new(name).ok()?;
        let mut value = 0;
        let read = Api::get().table().KernelInfoGetAttribute_int64;
        // SAFETY: the value is written.
        Api::get().check(unsafe { read(self.0, name.as_ptr(), &raw mut value) }).ok()?;
        Some(value)
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        self.list(name, Api::get().table().KernelInfoGetAttributeArray_float)
    }

    fn text(&self, name: &str) -> Option<String> {
        let characters: Vec<c_char> =
            self.list(name, Api::get().table().KernelInfoGetAttribute_string)?;
        let bytes: Vec<u8> = characters.into_iter().map(c_char::cast_unsigned).collect();
        String::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0').to_owned())
    }
}

/// Attributes as they are seen when shapes are inferred.
pub struct InferenceAttributes(*const OrtShapeInferContext);

impl InferenceAttributes {
    /// Wraps what ONNX Runtime passes.
    ///
    /// # Safety
    /// The pointer is valid for as long as the result is used.
    pub unsafe fn new(context: *const OrtShapeInferContext) -> Self {
        Self(context)
    }

    fn read<T: Clone + Default>(&self, name: &str, kind: OrtOpAttrType) -> Option<Vec<T>> {
        let api = Api::get();
        let name = CString::new(name).ok()?;
        let mut attribute = std::ptr::null();
        let mut bytes = 0;
        // SAFETY: an attribute that exists lives as long as the context; the first reading, which
        // has no room and fails, tells the size that the second one offers.
        unsafe {
            let find = api.table().ShapeInferContext_GetAttribute;
            api.check(find(self.0, name.as_ptr(), &raw mut attribute)).ok()?;
            let read = api.table().ReadOpAttr;
            let _no_room =
                api.check(read(attribute, kind, std::ptr::null_mut(), 0, &raw mut bytes));
            let mut values = vec![T::default(); bytes / size_of::<T>()];
            let data = values.as_mut_ptr().cast();
            api.check(read(attribute, kind, data, bytes, &raw mut bytes)).ok()?;
            Some(values)
        }
    }
}

impl Attributes for InferenceAttributes {
    fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.read(name, OrtOpAttrType::ORT_OP_ATTR_INTS)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.read(name, OrtOpAttrType::ORT_OP_ATTR_INT)?.first().copied()
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        self.read(name, OrtOpAttrType::ORT_OP_ATTR_FLOATS)
    }

    fn text(&self, name: &str) -> Option<String> {
        String::from_utf8(self.read(name, OrtOpAttrType::ORT_OP_ATTR_STRING)?).ok()
    }
}

/// Reads the recipe of a fused layer.
pub fn recipe(attributes: &impl Attributes) -> Result<Recipe, String> {
    let required = |name| attributes.integer(name).ok_or(format!("attribute {name} is missing"));
    let reduction = attributes.text("reduction").ok_or("attribute reduction is missing")?;
    let rank_weights = attributes.floats("rank_weights").unwrap_or_default();
    let reduction = Reduction::parse(&reduction, &rank_weights).map_err(|e| e.to_string())?;
    let pooled = attributes.integers("pool_kernel_shape").is_some();
    let recipe = Recipe {
        convolution: window(attributes, "")?,
        group: positive("group", required("group")?)?,
        reduction,
        window: positive("window", required("window")?)?,
        members: sizes("members", attributes.integers("members").unwrap_or_default())?,
        before: program(attributes, "before")?,
        after: program(attributes, "after")?,
        spatial: if pooled { Some(window(attributes, "pool_")?) } else { None },
        winograd: attributes.integer("winograd").unwrap_or(1) != 0,
    };
    recipe.check_windows().map_err(|error| error.to_string())?;
    Ok(recipe)
}

fn window(attributes: &impl Attributes, prefix: &str) -> Result<Window, String> {
    let list = |name: &str| {
        let name = format!("{prefix}{name}");
        let values = attributes.integers(&name).ok_or(format!("attribute {name} is missing"))?;
        sizes(&name, values)
    };
    Ok(Window {
        kernel_shape: list("kernel_shape")?,
        strides: list("strides")?,
        pads: list("pads")?,
        dilations: list("dilations")?,
        ceil_mode: attributes.integer(&format!("{prefix}ceil_mode")).unwrap_or(0) != 0,
    })
}

fn program(attributes: &impl Attributes, name: &str) -> Result<Program, String> {
    Program::parse(&attributes.text(name).unwrap_or_default()).map_err(|error| error.to_string())
}

fn sizes(name: &str, values: Vec<i64>) -> Result<Vec<usize>, String> {
    let not_negative =
        |value| usize::try_from(value).map_err(|_| format!("attribute {name} holds {value}"));
    values.into_iter().map(not_negative).collect()
}

fn positive(name: &str, value: i64) -> Result<usize, String> {
    usize::try_from(value)
        .ok()
        .filter(|&value| value > 0)
        .ok_or(format!("attribute {name} is {value}"))
}
