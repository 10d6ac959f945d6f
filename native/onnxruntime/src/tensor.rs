//! Tensors of ONNX Runtime, seen as slices.

use std::ffi::c_void;
use std::marker::PhantomData;

use ort_sys::{
    ONNXTensorElementDataType, OrtKernelContext, OrtKernelInfo, OrtTensorTypeAndShapeInfo, OrtValue,
};

use crate::api::Api;

/// A tensor that is borrowed from ONNX Runtime.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// What errors call it.
    name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    element: ONNXTensorElementDataType,
    data: *const c_void,
    lifetime: PhantomData<&'a c_void>,
}

/// A number that tensors hold.
///
/// # Safety
/// The type has the same bits as the elements of the tensor.
pub unsafe trait Element {
    /// What ONNX Runtime calls it.
    const KIND: ONNXTensorElementDataType;
}

// SAFETY: the types are the same.
unsafe impl Element for f32 {
    const KIND: ONNXTensorElementDataType =
        ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

// SAFETY: the types are the same.
unsafe impl Element for i32 {
    const KIND: ONNXTensorElementDataType =
        ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
}

impl<'a> Tensor<'a> {
    /// Reads a tensor.
    ///
    /// # Safety
    /// The value belongs to ONNX Runtime and outlives the result.
    pub unsafe fn new(value: *const OrtValue, name: &str) -> Result<Self, String> {
        let api = Api::get();
        // SAFETY: as the caller promises; the tensor's memory is not written while it is an input.
        unsafe {
            let (element, shape) = shape_of(value, name)?;
            let mut data = std::ptr::null_mut();
            api.check((api.table().GetTensorMutableData)(value.cast_mut(), &raw mut data))?;
            let (name, data) = (name.to_owned(), data.cast_const());
            Ok(Self { name, shape, element, data, lifetime: PhantomData })
        }
    }

    /// Returns the values of a tensor of singles.
    pub fn floats(&self) -> Result<&'a [f32], String> {
        self.values()
    }

    /// Returns the values as numbers of one type.
    pub fn values<T: Element>(&self) -> Result<&'a [T], String> {
        if self.element != T::KIND {
            let (name, element) = (&self.name, self.element);
            return Err(format!("{name} has element type {element:?}, expected {:?}", T::KIND));
        }
        // SAFETY: the elements have this type.
        Ok(unsafe { self.slice() })
    }

    /// Returns the bits of a tensor of bytes, and whether they are signed.
    pub fn bytes(&self) -> Result<(&'a [u8], bool), String> {
        let signed = match self.element {
            ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 => true,
            ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 => false,
            element => return Err(format!("{} has element type {element:?}", self.name)),
        };
        // SAFETY: the elements are bytes.
        Ok((unsafe { self.slice() }, signed))
    }

    unsafe fn slice<T>(&self) -> &'a [T] {
        let count = self.shape.iter().product();
        if count == 0 {
            return &[];
        }
        // SAFETY: the caller knows the type of the elements, and the tensor outlives the result.
        unsafe { std::slice::from_raw_parts(self.data.cast(), count) }
    }
}

unsafe fn shape_of(
    value: *const OrtValue,
    name: &str,
) -> Result<(ONNXTensorElementDataType, Vec<usize>), String> {
    let api = Api::get();
    let mut info = std::ptr::null_mut();
    // SAFETY: the value is a tensor of ONNX Runtime; the description is released below.
    unsafe { api.check((api.table().GetTensorTypeAndShape)(value, &raw mut info))? };
    // SAFETY: the description has just been made.
    let described = unsafe { describe(info) };
    // SAFETY: it is released once.
    unsafe { (api.table().ReleaseTensorTypeAndShapeInfo)(info) };
    let (element, dimensions) = described?;
    let known = |size| usize::try_from(size).map_err(|_| format!("{name} has an unknown size"));
    Ok((element, dimensions.into_iter().map(known).collect::<Result<_, _>>()?))
}

/// Returns element type and dimensions.
///
/// # Safety
/// The description is one of ONNX Runtime's.
pub unsafe fn describe(
    info: *const OrtTensorTypeAndShapeInfo,
) -> Result<(ONNXTensorElementDataType, Vec<i64>), String> {
    let api = Api::get();
    let mut element = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    let mut rank = 0;
    // SAFETY: as the caller promises, and the list has as many places as are asked for.
    unsafe {
        api.check((api.table().GetTensorElementType)(info, &raw mut element))?;
        api.check((api.table().GetDimensionsCount)(info, &raw mut rank))?;
        let mut dimensions = vec![0_i64; rank];
        api.check((api.table().GetDimensions)(info, dimensions.as_mut_ptr(), rank))?;
        Ok((element, dimensions))
    }
}

/// Returns the spatial sizes of a node's first input; none if they are not known in advance.
///
/// # Safety
/// `info` comes from ONNX Runtime.
pub unsafe fn known_pixels(info: *const OrtKernelInfo) -> Option<Vec<usize>> {
    let api = Api::get();
    let table = api.table();
    let mut description = std::ptr::null_mut();
    let mut tensor = std::ptr::null();
    // SAFETY: the description is released once; the tensor's is a part of it.
    unsafe {
        let status = (table.KernelInfo_GetInputTypeInfo)(info, 0, &raw mut description);
        api.check(status).ok()?;
        let cast = api.check((table.CastTypeInfoToTensorInfo)(description, &raw mut tensor));
        let described =
            if cast.is_ok() && !tensor.is_null() { describe(tensor).ok() } else { None };
        (table.ReleaseTypeInfo)(description);
        let (_, dimensions) = described?;
        dimensions.get(2..)?.iter().map(|&size| usize::try_from(size).ok()).collect()
    }
}

/// Returns an input of a running kernel; none if it is absent.
///
/// # Safety
/// The context is the one that the kernel was called with.
pub unsafe fn input<'c>(
    context: *mut OrtKernelContext,
    index: usize,
    name: &str,
) -> Result<Option<Tensor<'c>>, String> {
    let api = Api::get();
    let mut value = std::ptr::null();
    // SAFETY: as the caller promises.
    unsafe {
        api.check((api.table().KernelContext_GetInput)(context, index, &raw mut value))?;
        if value.is_null() { Ok(None) } else { Tensor::new(value, name).map(Some) }
    }
}

/// Returns the memory of a kernel's output.
///
/// # Safety
/// The context is the one that the kernel was called with, the output is asked for once, and its
/// elements have the type's size.
pub unsafe fn output<'c, T>(
    context: *mut OrtKernelContext,
    shape: &[usize],
) -> Result<&'c mut [T], String> {
    let api = Api::get();
    let dimensions: Vec<i64> = shape.iter().map(|&size| size.cast_signed() as i64).collect();
    let mut value = std::ptr::null_mut();
    let mut data = std::ptr::null_mut();
    // SAFETY: as the caller promises; the memory holds each element of the shape.
    unsafe {
        api.check((api.table().KernelContext_GetOutput)(
            context,
            0,
            dimensions.as_ptr(),
            dimensions.len(),
            &raw mut value,
        ))?;
        api.check((api.table().GetTensorMutableData)(value, &raw mut data))?;
        let count = shape.iter().product();
        if count == 0 {
            return Ok(&mut []);
        }
        Ok(std::slice::from_raw_parts_mut(data.cast::<T>(), count))
    }
}
